"""Bytes, ids and marks for tests of drivers."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from registry_storage.digest import Digest
from registry_storage.drivers.api import BlobKind, Buffer, Driver, Mark, MiB, PartData, PartLimits

PIECE = 100_000


def new_id() -> str:
    """A fresh blob id."""
    return secrets.token_hex(16)


def content(size: int, seed: int = 0) -> bytes:
    """`size` bytes that repeat nowhere; the same for the same seed."""
    return random.Random(f"{size}/{seed}").randbytes(size)


def mark_of(data: bytes, kind: BlobKind = BlobKind.BLOB, algorithm: str = "sha256") -> Mark:
    """The mark that the core would give these bytes."""
    return Mark(kind, Digest.of(data, algorithm))


@dataclass(frozen=True, slots=True)
class Held:
    """A part's data in memory: it can be iterated again."""

    data: bytes

    def __aiter__(self) -> AsyncIterator[Buffer]:
        return stream(self.data)


async def stream(data: bytes, piece: int = PIECE) -> AsyncIterator[Buffer]:
    """A part's data as it comes from a connection: it can be iterated once."""
    view = memoryview(data)
    for start in range(0, len(data), piece):
        yield view[start : start + piece]


async def broken_stream(data: bytes, error: BaseException) -> AsyncIterator[Buffer]:
    """As `stream`; then `error`."""
    async for piece in stream(data):
        yield piece
    raise error


def part_data(limits: PartLimits, data: bytes) -> PartData:
    """`data` as the core would hand it to a driver with these limits."""
    return stream(data) if limits.preferred_size is None else Held(data)


def cut(limits: PartLimits, count: int, seed: int = 0) -> list[bytes]:
    """`count` parts, as short as the limits allow; the last is shorter where it may be."""
    size = max(limits.min_size, 1000)
    return [content(size, seed + n) for n in range(count - 1)] + [content(max(1, size // 3), seed)]


def at_once(limits: PartLimits) -> int:
    """How many bytes `put_blob` takes."""
    return 8 * MiB if limits.preferred_size is None else limits.preferred_size


def slices(limits: PartLimits, data: bytes) -> list[bytes]:
    """`data` as parts of the preferred size."""
    size = at_once(limits)
    return [data[start : start + size] for start in range(0, len(data), size)]


async def reached(event: asyncio.Event, task: asyncio.Task[object]) -> None:
    """Return when `event` is set; raise what `task` raises if it ends before."""
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        raise AssertionError(f"the call ended early: {task.exception()!r}") from task.exception()


async def read_all(driver: Driver, location: str, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes of a range."""
    async with driver.read_blob(location, start, stop) as pieces:
        return b"".join([piece async for piece in pieces])


def joined(parts: Sequence[bytes]) -> bytes:
    """The blob that the parts make."""
    return b"".join(parts)
