"""Pieces that grow and shrink, the read-ahead, and sockets that wake their reader rarely."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from registry_storage.drivers._blocking import BlockingCalls
from registry_storage.drivers._reading import (
    BRIEF,
    LARGEST,
    LONG,
    SMALLEST,
    WAKING,
    Pace,
    RareWaking,
    pieces_of,
)
from registry_storage.errors import DriverUnavailable

BETWEEN = (BRIEF + LONG) / 2


@pytest_asyncio.fixture
async def calls() -> AsyncIterator[BlockingCalls]:
    calls = BlockingCalls("test", 2)
    yield calls
    await calls.close()


@dataclass
class Memory:
    """A blob in memory, read as a connection is."""

    data: bytes
    fails_at: int | None = None
    sizes: list[int] = field(default_factory=list)
    closed: int = 0

    @property
    def remaining(self) -> int:
        return len(self.data) - self._position

    _position: int = 0

    def next_piece(self, size: int) -> bytes:
        assert not self.closed
        self.sizes.append(size)
        if self.fails_at is not None and self._position >= self.fails_at:
            raise DriverUnavailable("broke off")
        piece = self.data[self._position : self._position + size]
        self._position += len(piece)
        return piece

    def close(self) -> None:
        self.closed += 1


def test_pieces_grow_while_they_are_fast_up_to_the_largest() -> None:
    pace = Pace()
    sizes = [pace.size]
    while sizes[-1] < LARGEST:
        pace.took(BRIEF / 2)
        sizes.append(pace.size)
    assert sizes == [SMALLEST << step for step in range(len(sizes))]
    pace.took(0)
    assert pace.size == LARGEST


def test_pieces_shrink_for_a_slow_reader_down_to_the_smallest() -> None:
    pace = Pace()
    pace.took(0)
    pace.took(BETWEEN)
    assert pace.size == SMALLEST * 2
    pace.took(LONG * 2)
    pace.took(LONG * 2)
    assert pace.size == SMALLEST


@pytest.mark.parametrize("size", [0, 1, SMALLEST, SMALLEST + 1, 20_000_001])
async def test_all_bytes_come_in_order(calls: BlockingCalls, size: int) -> None:
    blob = Memory(bytes(index * 7 % 251 for index in range(251)) * (size // 251 + 1))
    blob.data = blob.data[:size]
    async with pieces_of(calls, lambda: blob) as pieces:
        assert b"".join([piece async for piece in pieces]) == blob.data
    assert blob.sizes[:1] == ([SMALLEST] if size else [])
    assert blob.closed == 1


async def test_no_more_than_one_piece_is_read_ahead(calls: BlockingCalls) -> None:
    blob = Memory(bytes(10 * SMALLEST))
    async with pieces_of(calls, lambda: blob) as pieces:
        first = await anext(pieces)
        assert blob.remaining >= len(blob.data) - len(first) - blob.sizes[-1]
        assert len(blob.sizes) <= 2
    assert blob.closed == 1


async def test_an_error_comes_where_the_bytes_end(calls: BlockingCalls) -> None:
    blob = Memory(bytes(3 * SMALLEST), fails_at=SMALLEST)
    async with pieces_of(calls, lambda: blob) as pieces:
        assert len(await anext(pieces)) == SMALLEST
        with pytest.raises(DriverUnavailable):
            await anext(pieces)
    assert blob.closed == 1


async def test_what_cannot_be_opened_raises_on_entering(calls: BlockingCalls) -> None:
    def opened() -> Memory:
        raise DriverUnavailable("away")

    with pytest.raises(DriverUnavailable):
        async with pieces_of(calls, opened):
            raise AssertionError("it was entered")


async def test_the_connection_is_freed_only_when_no_thread_reads(calls: BlockingCalls) -> None:
    """The double asserts that it is not closed while it reads."""
    entered, go_on = threading.Event(), threading.Event()

    class Slow(Memory):
        def next_piece(self, size: int) -> bytes:
            entered.set()
            assert go_on.wait(10)
            return super().next_piece(size)

    blob = Slow(bytes(2 * SMALLEST))

    async def read() -> None:
        async with pieces_of(calls, lambda: blob) as pieces:
            await anext(pieces)

    task = asyncio.create_task(read())
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    assert not blob.closed
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert blob.closed == 1


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a connection on loopback."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as one,
    ):
        other, _ = listening.accept()
        with other:
            yield one, other


def lowest(end: socket.socket) -> int:
    return end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


def test_a_fast_connection_wakes_its_reader_rarely(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    end, _ = connection
    waking = RareWaking(end.fileno)
    waking.before(LARGEST // 2, 100 * LARGEST)
    assert lowest(end) == 1
    waking.before(LARGEST, 100 * LARGEST)
    assert lowest(end) == WAKING
    waking.before(LARGEST // 2, 50 * LARGEST)
    assert lowest(end) == 1
    assert end.fileno() >= 0


def test_nobody_waits_for_more_than_is_still_to_come(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    """All that was promised is read with a time limit, and then the sender is silent."""
    end, sender = connection
    end.settimeout(10)
    total = 3 * LARGEST + WAKING + 1
    sending = threading.Thread(target=sender.sendall, args=(bytes(total),))
    sending.start()
    waking, remaining, woken_rarely = RareWaking(end.fileno), total, False
    with end.makefile("rb") as body:
        while remaining:
            size = min(LARGEST, remaining)
            waking.before(size, remaining)
            woken_rarely |= lowest(end) == WAKING
            assert len(body.read(size)) == size
            remaining -= size
    sending.join()
    assert woken_rarely
    assert lowest(end) == 1


def test_what_is_no_socket_is_read_as_before() -> None:
    memory = io.BytesIO()
    with pytest.raises(OSError, match="fileno"):
        memory.fileno()
    waking = RareWaking(memory.fileno)
    waking.before(LARGEST, 100 * LARGEST)
    waking.before(1, 1)
