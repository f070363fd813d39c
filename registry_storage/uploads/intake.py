"""One request's bytes on their way in: counted, hashed beside, kept where the client leaves.

    client ──► peek (nothing is hashed) ──► take, stream: delivered and hashed ──► the driver

Bytes are hashed on a thread in batches, at most one batch behind, while the next are received and
the last are written.  What was delivered is exactly what is hashed, so that the state of the hash
can be stored with each part.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from concurrent.futures import Executor

from registry_storage.drivers.api import Buffer, KiB, MiB
from registry_storage.errors import BodyInterrupted, SizeInvalid
from registry_storage.hashing import Hasher

BATCH = 1 * MiB
"""What is handed to the hashing thread at a time, in bytes."""

INLINE = 64 * KiB
"""Hashing less than this takes less time than handing it to a thread."""

INTERRUPTIONS = (BodyInterrupted, ConnectionError, EOFError)
"""What an iterator of request bytes raises where its client has left: what came is kept."""


class HashingAside:
    """Feeds a hasher on a thread, in order, at most one batch behind."""

    def __init__(self, hasher: Hasher, executor: Executor) -> None:
        self._hasher = hasher
        self._executor = executor
        self._batch: list[Buffer] = []
        self._size = 0
        self._running: asyncio.Future[None] | None = None

    async def add(self, data: Buffer) -> None:
        """Hash `data` soon; its bytes must stay as they are."""
        self._batch.append(data)
        self._size += len(data)
        if self._size >= BATCH:
            await self._start()

    async def settled(self) -> Hasher:
        """The hasher, when it has seen all that was added."""
        if self._size >= INLINE:
            await self._start()
        await self._wait()
        _update(self._hasher, self._clear())
        return self._hasher

    async def _start(self) -> None:
        await self._wait()
        loop = asyncio.get_running_loop()
        self._running = loop.run_in_executor(self._executor, _update, self._hasher, self._clear())

    async def _wait(self) -> None:
        if self._running is not None:
            await self._running
            self._running = None

    def _clear(self) -> list[Buffer]:
        batch, self._batch, self._size = self._batch, [], 0
        return batch


def _update(hasher: Hasher, batch: Iterable[Buffer]) -> None:
    for data in batch:
        hasher.update(data)


class Intake:
    """The bytes of one request.

    `size` is how many were announced; None: unknown.  More than that raises `SizeInvalid` where
    they appear, and fewer where they end.  Where the client leaves, the bytes just end, and
    `interrupted` says why.
    """

    def __init__(
        self, data: AsyncIterable[Buffer], size: int | None, hashing: HashingAside | None
    ) -> None:
        self.hashing = hashing
        self.interrupted: Exception | None = None
        self._source = aiter(data)
        self._announced = size
        self._received = 0
        self._ahead: deque[Buffer] = deque()
        self._ahead_size = 0
        self._ended = False

    @property
    def exhausted(self) -> bool:
        """Whether all bytes are known to have been delivered."""
        return self._ended and not self._ahead

    @property
    def remaining(self) -> int | None:
        """How many bytes are still to be delivered, where that is known."""
        if self._ended:
            return self._ahead_size
        if self._announced is None:
            return None
        return self._announced - self._received + self._ahead_size

    async def peek(self, size: int) -> int:
        """Receive until `size` bytes are ahead, or the end; how many are."""
        while self._ahead_size < size and await self._receive():
            pass
        return self._ahead_size

    async def take(self, size: int) -> list[Buffer]:
        """Deliver `size` bytes; fewer only at the end."""
        return [data async for data in self.stream(size)]

    async def stream(self, size: int = 0) -> AsyncIterator[Buffer]:
        """Deliver up to `size` bytes (0: all) as they come."""
        delivered = 0
        while (not size or delivered < size) and (self._ahead or await self._receive()):
            data = self._next(size - delivered if size else 0)
            delivered += len(data)
            if self.hashing is not None:
                await self.hashing.add(data)
            yield data

    async def hasher(self) -> Hasher | None:
        """Of all that was delivered, behind what the session held; None: not known here."""
        return None if self.hashing is None else await self.hashing.settled()

    async def hash_state(self) -> bytes | None:
        """The state of `hasher` for the catalog; None: it cannot be given away."""
        hasher = await self.hasher()
        return None if hasher is None else hasher.export()

    def raise_if_interrupted(self) -> None:
        """Tell the caller that the client left, now that what came is stored."""
        if self.interrupted is not None:
            raise self.interrupted

    async def _receive(self) -> bool:
        """Receive one piece; whether there was one."""
        if self._ended:
            return False
        try:
            data = await anext(self._source)
        except StopAsyncIteration:
            self._ended = True
            self._check_end()
            return False
        except INTERRUPTIONS as error:
            self._ended = True
            self.interrupted = error
            return False
        self._received += len(data)
        self._check_size()
        if data:
            self._ahead.append(data)
            self._ahead_size += len(data)
        return True

    def _next(self, most: int) -> Buffer:
        """The first piece ahead, at most `most` bytes of it (0: all)."""
        data = self._ahead.popleft()
        if most and len(data) > most:
            view = memoryview(data)
            self._ahead.appendleft(view[most:])
            data = view[:most]
        self._ahead_size -= len(data)
        return data

    def _check_size(self) -> None:
        if self._announced is not None and self._received > self._announced:
            raise SizeInvalid(f"more bytes came than the {self._announced} announced")

    def _check_end(self) -> None:
        if self._announced is not None and self._received < self._announced:
            raise SizeInvalid(f"{self._received} bytes came, but {self._announced} were announced")
