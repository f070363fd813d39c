"""Blobs from a store without local files, on their way to the socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_server.api.content import BlobContent, RangesContent
from registry_server.api.ranges import MAX_GAP, ByteRange, multipart
from registry_storage import Digest
from registry_storage.errors import DriverError
from registry_storage.values import BlobInfo

DATA = bytes(range(256)) * 2000


class Store:
    """A repository of one blob, which lies in no local file; notes what is read of it."""

    def __init__(self, held: bytes = DATA, piece: int = 1000) -> None:
        self.blob = BlobInfo(Digest.of(DATA), len(DATA), "there")
        self.reads: list[tuple[int, int]] = []
        self.open = 0
        self._held = held
        self._piece = piece

    def blob_path(self, _: BlobInfo) -> None:
        return None

    @asynccontextmanager
    async def read_blob(
        self, _: BlobInfo, start: int, stop: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        if stop > start:
            self.reads.append((start, stop))
        self.open += 1
        try:
            yield self._pieces(self._held[start:stop])
        finally:
            self.open -= 1

    async def _pieces(self, data: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(data), self._piece):
            yield data[at : at + self._piece]


class Line:
    """What a connection has sent, until the client leaves."""

    is_plain = True

    def __init__(self, patience: int = 1_000_000_000) -> None:
        self.sent = b""
        self._patience = patience

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        if len(self.sent) > self._patience:
            raise ConnectionResetError


async def sent(content: Any, line: Line | None = None) -> bytes:
    line = line or Line()
    async with content.opened(line) as send:
        await send(b"")
    return line.sent


def ranges_of(store: Store, ranges: Sequence[ByteRange]) -> RangesContent:
    layout = multipart(ranges, len(DATA), "application/octet-stream", "boundary")
    return RangesContent(store, store.blob, layout)  # type: ignore[arg-type]


def expected(content: RangesContent) -> bytes:
    parts = (head + DATA[part.start : part.stop] for head, part in content.layout.parts)
    return b"".join(parts) + content.layout.end


async def test_a_thousand_ranges_near_each_other_are_one_read() -> None:
    store = Store()
    content = ranges_of(store, [ByteRange(500 * n, 500 * n + 10) for n in range(1000)])
    assert await sent(content) == expected(content)
    assert store.reads == [(0, 500 * 999 + 10)]


async def test_ranges_far_from_each_other_or_backwards_are_reads_of_their_own() -> None:
    store = Store()
    far = 10 + MAX_GAP + 1
    ranges = [ByteRange(0, 10), ByteRange(far, far + 1), ByteRange(5, 6), ByteRange(6, 8)]
    content = ranges_of(store, ranges)
    assert await sent(content) == expected(content)
    assert store.reads == [(0, 10), (far, far + 1), (5, 8)]


PLACES = st.integers(0, len(DATA) - 1)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(PLACES, st.integers(1, 3000)), min_size=2, max_size=20),
    st.integers(500, 5000),
)
async def test_any_ranges_in_any_pieces_are_answered(
    wanted: list[tuple[int, int]], piece: int
) -> None:
    ranges = [ByteRange(start, min(start + size, len(DATA))) for start, size in sorted(wanted)]
    content = ranges_of(Store(piece=piece), ranges)
    assert await sent(content) == expected(content)


async def test_a_store_that_lost_bytes_does_not_pass_for_an_answer() -> None:
    """On a connection that is kept, the next answer would be taken for the rest of the blob."""
    store = Store(held=DATA[:-1])
    whole = BlobContent(store, store.blob, ByteRange(0, len(DATA)))  # type: ignore[arg-type]
    some = ranges_of(store, [ByteRange(0, 10), ByteRange(400_000, len(DATA))])
    for content in (whole, some):
        with pytest.raises(DriverError, match="where"):
            await sent(content)


async def test_a_client_that_leaves_leaves_no_read_open() -> None:
    store = Store()
    content = ranges_of(store, [ByteRange(0, 300_000), ByteRange(300_000, 500_000)])
    with pytest.raises(ConnectionResetError):
        await sent(content, Line(patience=1000))
    assert store.open == 0
