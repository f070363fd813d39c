"""Blobs on their way from a store: the next piece is fetched while the last is being sent on.

A hop to a thread costs as much as copying some 500 KiB.  So pieces grow while store and reader keep
up with them, and shrink again for a slow reader: what all the pieces under way take of memory goes
by the bytes that move, not by the number of those who read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol

from registry_storage.drivers._blocking import BlockingCalls, finished, settled
from registry_storage.drivers.api import KiB, MiB

SMALLEST: Final = 256 * KiB
LARGEST: Final = 4 * MiB
"""Of the pieces that are asked for, in bytes.  At most two of a blob are in memory."""
BRIEF: Final = 0.1
LONG: Final = 0.4
"""Seconds from one piece to the next: in less they grow, in more they shrink."""

WAKING: Final = 1 * MiB
"""So much must have come before the reader of a fast connection is woken."""


class Reading(Protocol):
    """A blob that is open for one reader; blocking."""

    @property
    def remaining(self) -> int:
        """How many bytes are still to come."""

    def next_piece(self, size: int) -> bytes:
        """The next bytes: at most `size`, which is `SMALLEST` or more, and never none.

        Raises `DriverError` where they end before the blob does.
        """

    def close(self) -> None:
        """Free the connection; more than once is fine."""


@asynccontextmanager
async def pieces_of(
    calls: BlockingCalls, opened: Callable[[], Reading]
) -> AsyncIterator[AsyncIterator[bytes]]:
    """What `read_blob` gives, of what `opened` opens on a thread."""
    reading = await calls.run_or_undo(_close, opened)
    ahead = _ReadAhead(reading, calls)
    try:
        yield ahead.pieces()
    finally:
        await ahead.close()


class Pace:
    """How much to fetch at once."""

    def __init__(self) -> None:
        self.size = SMALLEST

    def took(self, seconds: float) -> None:
        """Tell how long the last piece took, until the next was wanted."""
        if seconds < BRIEF:
            self.size = min(LARGEST, self.size * 2)
        elif seconds > LONG:
            self.size = max(SMALLEST, self.size // 2)


class RareWaking:
    """Lets a connection wake its reader for `WAKING` bytes at a time, while it is fast.

    Fewer and larger reads cost both ends less.  Nobody would ever be woken for the last bytes of an
    answer; so this ends well before them.
    """

    def __init__(self, descriptor: Callable[[], int]) -> None:
        """`descriptor` is that of the connection's socket; it may raise `OSError`."""
        self._descriptor = descriptor
        self._is_on = False

    def before(self, size: int, remaining: int) -> None:
        """To be told before `size` bytes are read, of the `remaining` of an answer."""
        wanted = size >= LARGEST and remaining - size >= 2 * WAKING
        if wanted != self._is_on:
            self._is_on = wanted
            with suppress(OSError):
                _wake_for(WAKING if wanted else 1, self._descriptor())


class _ReadAhead:
    def __init__(self, reading: Reading, calls: BlockingCalls) -> None:
        self._reading = reading
        self._calls = calls
        self._pace = Pace()
        self._next: asyncio.Future[bytes] | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        began = clock()
        self._fetch()
        while self._next is not None:
            piece = await finished(self._next)
            now = clock()
            self._pace.took(now - began)
            began = now
            self._fetch()
            yield piece

    async def close(self) -> None:
        """Free the connection, when no thread reads from it any more."""
        await settled(self._next)
        self._reading.close()

    def _fetch(self) -> None:
        more = self._reading.remaining > 0
        size = self._pace.size
        self._next = self._calls.start(self._reading.next_piece, size) if more else None


def _wake_for(size: int, descriptor: int) -> None:
    """Let the socket pass for readable when `size` bytes have come, or its end."""
    with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


def _close(reading: Reading) -> None:
    reading.close()
