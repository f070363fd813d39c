"""Tries again what may succeed later.

Only `TransientError` is retried, and only what can be repeated: a part whose data is a stream,
which can be iterated once, is not; a listing is until its first item has come.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from registry_storage.drivers.api import (
    BlobKind,
    Driver,
    Handle,
    Part,
    PartData,
    StoredBlob,
)
from registry_storage.drivers.wrappers.base import InterceptingDriver
from registry_storage.errors import TransientError

R = TypeVar("R")
Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how long to wait: exponential, with full jitter, in seconds."""

    attempts: int = 5
    """In all, the first included.  A read that got on begins to count anew."""
    first_wait: float = 0.1
    longest_wait: float = 5.0

    def wait_before(self, attempt: int) -> float:
        """How long to wait before this attempt; the first repetition is attempt 1."""
        return random.uniform(0, min(self.longest_wait, self.first_wait * 2 ** (attempt - 1)))


class RetryingDriver(InterceptingDriver):
    """Repeats what `inner` fails to do for the time being."""

    def __init__(
        self, inner: Driver, policy: RetryPolicy | None = None, sleep: Sleep = asyncio.sleep
    ) -> None:
        super().__init__(inner)
        self._policy = policy or RetryPolicy()
        self._sleep = sleep

    async def start(self) -> None:
        await self._retry(self.inner.start)

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        if aiter(data) is data:  # a stream: what was taken from it cannot be had again
            return await self.inner.put_part(handle, number, offset, data, size)
        return await super().put_part(handle, number, offset, data, size)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._list(lambda: self.inner.list_blobs(kind))

    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return self._list(lambda: self.inner.list_uploads(older_than))

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        async with AsyncExitStack() as connection:

            async def opened(at: int) -> AsyncIterator[bytes]:
                await connection.aclose()
                return await connection.enter_async_context(
                    self.inner.read_blob(location, at, stop)
                )

            first = await self._retry(lambda: opened(start))
            yield self._resumed(first, opened, start)

    async def _resumed(
        self,
        pieces: AsyncIterator[bytes],
        opened: Callable[[int], Awaitable[AsyncIterator[bytes]]],
        reached: int,
    ) -> AsyncIterator[bytes]:
        """The pieces; a read that breaks is taken up at the byte it reached."""
        failures = 0
        while True:
            try:
                async for piece in pieces:
                    reached += len(piece)
                    failures = 0 if piece else failures
                    yield piece
                return
            except TransientError:
                failures += 1
                if failures >= self._policy.attempts:
                    raise
                await self._sleep(self._policy.wait_before(failures))
            pieces = await self._retry(partial(opened, reached))

    async def _list(self, listing: Callable[[], AsyncIterator[R]]) -> AsyncIterator[R]:
        async def begun() -> tuple[list[R], AsyncIterator[R]]:
            items = listing()
            async for first in items:
                return [first], items
            return [], items

        head, rest = await self._retry(begun)
        for item in head:
            yield item
        async for item in rest:
            yield item

    async def intercept(self, method: str, call: Callable[[], Awaitable[R]]) -> R:
        return await self._retry(call)

    async def _retry(self, call: Callable[[], Awaitable[R]]) -> R:
        for attempt in range(1, self._policy.attempts):
            try:
                return await call()
            except TransientError:
                await self._sleep(self._policy.wait_before(attempt))
        return await call()
