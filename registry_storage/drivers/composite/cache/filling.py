"""A blob on its way from the store into the cache, and those who read it meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import suppress

from registry_storage.drivers._blocking import BlockingCalls
from registry_storage.drivers.api import BlobKind, Driver, StoredBlob
from registry_storage.drivers.composite.cache.files import CacheFiles, Writing
from registry_storage.drivers.composite.cache.reading import PIECE, Damaged
from registry_storage.errors import DriverError

CACHED_KINDS = (BlobKind.BLOB, BlobKind.MANIFEST)
"""What is pulled.  What nobody has vouched for is read once, to be hashed or joined."""

log = logging.getLogger(__name__)


class Fill:
    """Fetches one blob, once for all who ask for it.

    Goes on when its readers leave: whoever was interrupted comes back for it.  Whatever goes wrong
    ends it early, and its readers go on at the store itself.
    """

    def __init__(self, store: Driver, files: CacheFiles, calls: BlockingCalls) -> None:
        self._store = store
        self._files = files
        self._calls = calls
        self._writing: Writing | None = None
        self._size: int | None = None
        self._reached = 0
        self._ended = False
        self._news = asyncio.Event()

    async def run(self, location: str, stop: int | None) -> None:
        """Fetch the blob, if a reader up to `stop` wants all of it and it is of a cached kind."""
        try:
            blob = await self._store.stat_blob(location)
            if blob.mark and blob.mark.kind in CACHED_KINDS and (stop is None or stop >= blob.size):
                await self._fetch(blob)
        except (DriverError, Damaged, OSError) as error:
            log.info("%s is not cached: %s", location, error)
        finally:
            self._ended = True
            self._tell()

    def unwanted(self) -> None:
        """The blob is being deleted: it must not be cached any more."""
        if self._writing is not None:
            self._writing.unwanted = True

    async def size(self) -> int | None:
        """The blob's size, once its bytes are coming; None where they are not."""
        while self._size is None and not self._ended:
            await self._news.wait()
        return self._size

    def descriptor(self) -> int | None:
        """For a reader, who closes it; None where the fill has ended meanwhile."""
        if self._ended or self._writing is None:
            return None
        return self._writing.another_descriptor()

    async def pieces(self, file: int, start: int, stop: int) -> AsyncIterator[bytes]:
        """What comes of a range; ends early where the fill does."""
        while start < stop and await self._is_beyond(start):
            length = min(PIECE, self._reached - start, stop - start)
            piece = await self._calls.run(os.pread, file, length, start)
            start += len(piece)
            yield piece

    async def _fetch(self, blob: StoredBlob) -> None:
        begun = await self._calls.run_or_undo(
            _discard, lambda: self._files.begin(blob.location, blob.size)
        )
        if begun is None:
            return
        self._writing = begun
        try:
            async with self._store.read_blob(blob.location) as pieces:
                self._size = blob.size
                self._tell()
                async for piece in pieces:
                    await self._calls.run(begun.write, piece)
                    self._reached += len(piece)
                    self._tell()
            await self._calls.run(begun.finish)
        finally:
            self._ended = True
            with suppress(OSError):
                await self._calls.run(begun.discard)

    async def _is_beyond(self, position: int) -> bool:
        while self._reached <= position and not self._ended:
            await self._news.wait()
        return self._reached > position

    def _tell(self) -> None:
        """Wake all who wait for news."""
        news, self._news = self._news, asyncio.Event()
        news.set()


def _discard(writing: Writing | None) -> None:
    if writing is not None:
        writing.discard()
