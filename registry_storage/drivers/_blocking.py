"""Runs blocking calls (system calls, SDKs) on a bounded pool of threads, one pool a driver.

A thread cannot be interrupted.  So a cancelled caller waits until the call it started has ended,
and only then sees its cancellation: nothing goes on behind its back with a file descriptor or a
connection that somebody else has been given meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class BlockingCalls:
    """A bounded pool of threads.  Threads start when they are first needed."""

    def __init__(self, name: str, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def start(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        """Start `call` on a thread.  Whoever starts it sees to its end: `finished` or `settled`."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._executor, lambda: call(*args, **kwargs))

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of `call`, run on a thread."""
        return await finished(self.start(call, *args, **kwargs))

    async def run_or_undo(self, undo: Callable[[R], object], call: Callable[[], R]) -> R:
        """As `run`; `undo` gets the result that a cancelled caller misses."""
        running = self.start(call)
        try:
            return await finished(running)
        except asyncio.CancelledError:
            if running.exception() is None:
                undo(running.result())
            raise

    async def iterate(self, items: Iterator[R], batch: int = 512) -> AsyncIterator[R]:
        """The items of a blocking iterator, fetched `batch` at a time."""
        while found := await self.run(lambda: list(islice(items, batch))):
            for item in found:
                yield item

    async def close(self) -> None:
        """End the threads when the calls under way have ended."""
        await asyncio.to_thread(self._executor.shutdown)


async def finished(running: asyncio.Future[R]) -> R:
    """The result of `running`; a cancellation waits until it has ended."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await settled(running)
        raise


async def settled(running: asyncio.Future[R] | None) -> None:
    """Return when `running` has ended, whatever its end; cannot be cancelled."""
    while running is not None and not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            continue
    if running is not None and not running.cancelled():
        running.exception()  # seen, so asyncio does not warn of it
