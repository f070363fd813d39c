"""A store to upload to: a driver of any limits, a SQLite catalog, and bodies that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, text

from registry_storage.catalog import Catalog
from registry_storage.catalog.blobs import BlobRow
from registry_storage.digest import Digest
from registry_storage.drivers.api import Buffer, Driver, KiB, MiB, PartLimits
from registry_storage.drivers.memory import MemoryDriver, MemorySpace
from registry_storage.policy import StorePolicy
from registry_storage.uploads import Uploads

T = TypeVar("T")

LIMITS = {
    "plain": PartLimits(),
    "files": PartLimits(preferred_size=None),
    "files in slices": PartLimits(preferred_size=None, max_size=300 * KiB),
    "large parts": PartLimits(
        min_size=96 * KiB, preferred_size=128 * KiB, max_parts=10_000, needs_size=True
    ),
    "equal parts": PartLimits(
        min_size=96 * KiB, preferred_size=128 * KiB, max_parts=100, needs_size=True, uniform=True
    ),
    "few parts": PartLimits(min_size=1, preferred_size=100 * KiB, max_parts=16),
}
"""What backends may want, at a scale that is quick to test."""

REPOSITORY = "team/app"


@dataclass(frozen=True, slots=True)
class Bench:
    """A store, and shortcuts to look into it."""

    driver: Driver
    catalog: Catalog
    uploads: Uploads
    space: MemorySpace

    async def begin(self, algorithm: str = "sha256", subject: str = "") -> str:
        return (await self.uploads.begin(REPOSITORY, subject, algorithm)).id

    async def append(self, upload: str, data: bytes, **kwargs: int) -> int:
        status = await self.uploads.append(REPOSITORY, upload, "", body(data), **kwargs)
        return status.offset

    async def finish(self, upload: str, digest: Digest, data: bytes = b"") -> BlobRow:
        return await self.uploads.finish(REPOSITORY, upload, "", digest, body(data))

    async def read(self, blob: BlobRow) -> bytes:
        async with self.driver.read_blob(blob.location) as pieces:
            return b"".join([piece async for piece in pieces])

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        return await self.catalog.read(_rows, query)

    async def value(self, query: str) -> object:
        return (await self.rows(query))[0][0]

    async def change(self, statement: str) -> None:
        await self.catalog.write(_execute, statement)

    async def assert_nothing_is_left(self) -> None:
        """Every blob in the driver is named by a row, and nothing is under way."""
        await self.uploads.close()
        named = {row[0] for row in await self.rows("SELECT location FROM blobs")}
        named |= {row[0] for row in await self.rows("SELECT location FROM garbage")}
        named |= {row[0] for row in await self.rows("SELECT location FROM upload_tails")}
        assert set(self.space.blobs) <= named
        assert not self.space.uploads


def open_bench(
    catalog: Catalog,
    limits: PartLimits | None = None,
    *,
    space: MemorySpace | None = None,
    wrap: Callable[[Driver], Driver] = lambda driver: driver,
    policy: StorePolicy | None = None,
    buffers: int = 64 * MiB,
) -> Bench:
    """Uploads over a memory driver with these limits; `space` is shared with another bench's."""
    space = space or MemorySpace()
    driver = wrap(MemoryDriver(space, limits))
    uploads = Uploads(driver, catalog, policy or StorePolicy(), buffers)
    return Bench(driver, catalog, uploads, space)


async def body(data: bytes, piece: int = 50_000) -> AsyncIterator[Buffer]:
    """A request's body, as it comes in."""
    for start in range(0, len(data), piece):
        yield data[start : start + piece]


async def broken(data: bytes, error: Exception) -> AsyncIterator[Buffer]:
    """A body whose client leaves behind `data`."""
    async for piece in body(data):
        yield piece
    raise error


async def held_back(
    data: bytes, begun: asyncio.Event, go_on: asyncio.Event
) -> AsyncIterator[Buffer]:
    """A body that waits in front of its last byte."""
    yield data[:-1]
    begun.set()
    await go_on.wait()
    yield data[-1:]


def _rows(tx: Connection, query: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in tx.execute(text(query))]


def _execute(tx: Connection, statement: str) -> None:
    tx.execute(text(statement))
