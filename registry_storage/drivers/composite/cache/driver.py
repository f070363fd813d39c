"""The driver: the store behind it, but for reads, which it answers from its folder.

Locations, handles and limits are the store's own: a cache can be put before a store, and taken away
again, whenever one likes.  A location is never used for other bytes, so what is cached cannot be
out of date; what was deleted through another host may stay in this one's folder until it makes
room, where nothing names it any more.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from registry_storage.drivers._blocking import BlockingCalls
from registry_storage.drivers.api import Driver, LocalFiles, Redirects, T
from registry_storage.drivers.composite.cache.files import CacheFiles
from registry_storage.drivers.composite.cache.filling import Fill
from registry_storage.drivers.composite.cache.reading import CachedBlob, CachedRange, Damaged
from registry_storage.drivers.wrappers.base import DelegatingDriver
from registry_storage.errors import DriverError, RangeNotSatisfiable

MOST_FILLS = 16
"""So many blobs are fetched into the cache at a time; others are read past it."""
THREADS = 32


class CacheDriver(DelegatingDriver):
    """Extensions: the store's, but for `LocalFiles` (a file may have gone when it is opened) and,
    unless `redirect` says so, `Redirects` (which would lead past the cache)."""

    def __init__(self, inner: Driver, files: CacheFiles, redirect: bool = False) -> None:
        super().__init__(inner)
        self.name = "cache"
        self._files = files
        self._hidden = {LocalFiles, *([] if redirect else [Redirects])}
        self._fills: dict[str, tuple[Fill, asyncio.Task[None]]] = {}
        self._calls = BlockingCalls(self.name, THREADS)

    async def start(self) -> None:
        self._calls = BlockingCalls(self.name, THREADS)
        await self._calls.run(self._files.open)
        await self.inner.start()

    async def close(self) -> None:
        await self.settle(cancel=True)
        await self._calls.close()
        self._files.close()
        await self.inner.close()

    async def settle(self, *, cancel: bool = False) -> None:
        """Return when nothing is being fetched any more."""
        tasks = [task for _, task in self._fills.values()]
        for task in tasks if cancel else ():
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async with AsyncExitStack() as resources:
            yield await self._opened(resources, location, start, stop)

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        await self.inner.delete_blobs(locations)
        for location in locations:
            if fill := self._fills.get(location):
                fill[0].unwanted()
        with suppress(OSError):  # nothing names them any more
            await self._calls.run(self._files.drop, locations)

    def extension(self, kind: type[T]) -> T | None:
        return None if kind in self._hidden else self.inner.extension(kind)

    async def _opened(
        self, resources: AsyncExitStack, location: str, start: int, stop: int | None
    ) -> AsyncIterator[bytes]:
        """From the folder, else from a fill, else from the store."""
        if pieces := await self._from_folder(resources, location, start, stop):
            return pieces
        if start == 0 and (fill := self._fill(location, stop)):
            size = await fill.size()
            file = fill.descriptor()
            if size is not None and file is not None:
                resources.callback(os.close, file)
                return self._followed(resources, fill, file, location, _clipped(size, stop))
            if pieces := await self._from_folder(resources, location, start, stop):
                return pieces
        return await resources.enter_async_context(self.inner.read_blob(location, start, stop))

    async def _from_folder(
        self, resources: AsyncExitStack, location: str, start: int, stop: int | None
    ) -> AsyncIterator[bytes] | None:
        cached = await self._calls.run_or_undo(_close, lambda: self._files.find(location))
        if cached is None:
            return None
        resources.callback(cached.close)
        if start > cached.size:
            message = f"{location} has {cached.size} bytes, so none at {start}"
            raise RangeNotSatisfiable(message, size=cached.size, location=location)
        wanted = cached.read(start, max(start, _clipped(cached.size, stop)))
        return self._cached_pieces(location, wanted)

    def _fill(self, location: str, stop: int | None) -> Fill | None:
        """The one that is under way, or a new one unless there are too many."""
        if location in self._fills:
            return self._fills[location][0]
        if len(self._fills) >= MOST_FILLS:
            return None
        fill = Fill(self.inner, self._files, self._calls)
        task = asyncio.create_task(fill.run(location, stop))
        self._fills[location] = fill, task
        task.add_done_callback(lambda _: self._fills.pop(location))
        return fill

    async def _cached_pieces(self, location: str, wanted: CachedRange) -> AsyncIterator[bytes]:
        try:
            while piece := await self._calls.run(wanted.next_piece):
                yield piece
        except (Damaged, OSError) as error:
            await self._calls.run(self._files.drop_damaged, location, error)
            raise DriverError(
                f"the cached copy of {location} is damaged and was removed: read it again",
                location=location,
            ) from error

    async def _followed(
        self, resources: AsyncExitStack, fill: Fill, file: int, location: str, stop: int
    ) -> AsyncIterator[bytes]:
        """What the fill brings, and from the store what it does not."""
        reached = 0
        async for piece in fill.pieces(file, 0, stop):
            reached += len(piece)
            yield piece
        if reached < stop:
            rest = self.inner.read_blob(location, reached, stop)
            async for piece in await resources.enter_async_context(rest):
                yield piece


def _close(cached: CachedBlob | None) -> None:
    if cached is not None:
        cached.close()


def _clipped(size: int, stop: int | None) -> int:
    return size if stop is None else min(stop, size)
