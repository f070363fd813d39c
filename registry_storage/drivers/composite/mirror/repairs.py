"""Gives a store what it lacks: by the same blob id and mark, from one that has it.

Only marked blobs are repaired: their bytes have a digest, which a copy must have too, and nobody
moves them.  One that is deleted while it is being copied is deleted again: a copy is undone where
its source has gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from registry_storage.drivers.api import Driver, StoredBlob
from registry_storage.drivers.composite.mirror.copying import copy_blob
from registry_storage.drivers.composite.mirror.naming import Place
from registry_storage.drivers.composite.mirror.stores import AWAY_SECONDS, Store, ask_all
from registry_storage.errors import BlobNotFound, DriverError

MOST_NOTED: Final = 10_000
"""Places kept in mind at a time; what is beyond that is found by a walk over the stores."""

log = logging.getLogger(__name__)


class Repairs:
    """Repairs what was noted, in the background, one blob after the other."""

    def __init__(self, stores: Sequence[Store], pause: float = AWAY_SECONDS) -> None:
        self._stores = stores
        self._pause = pause
        self._noted: dict[Place, None] = {}
        self._worker: asyncio.Task[None] | None = None
        self._under_way: tuple[Place, asyncio.Task[int]] | None = None

    def note(self, place: Place) -> None:
        """Keep in mind that some store lacks this blob, if it is one that is repaired."""
        if place.mark is None or len(self._noted) >= MOST_NOTED:
            return
        self._noted[place] = None
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def forget(self, places: Iterable[Place]) -> None:
        """End what is being done about these, which are about to be deleted."""
        for place in places:
            self._noted.pop(place, None)
            if self._under_way and self._under_way[0] == place:
                await _ended(self._under_way[1])

    async def idle(self) -> None:
        """Return when all that was noted is repaired."""
        while self._worker is not None and not self._worker.done():
            await asyncio.wait([self._worker])

    async def close(self) -> None:
        """Stop, and forget what was noted: a read that misses a copy will note it again."""
        self._noted.clear()
        if self._worker is not None:
            await _ended(self._worker)

    async def mend(self, place: Place) -> int:
        """Give every store this blob; how many copies were made.

        Raises the first error of a store that could not be asked or not be given it.
        """
        found = await ask_all(
            self._stores, lambda _, driver: driver.stat_blob(place.within(driver))
        )
        if not found.given:
            return 0
        holders = [self._stores[index] for index in sorted(found.given)]
        given, failed = 0, list[DriverError]()
        for index, error in sorted(found.errors.items()):
            if isinstance(error, BlobNotFound):
                await self.give(place, holders, self._stores[index])
                given += 1
            else:
                failed.append(error)
        if failed:
            raise failed[0]
        return given

    async def give(self, place: Place, holders: Sequence[Store], target: Store) -> StoredBlob:
        """Give `target` the blob, from the nearest of the holders whose copy is whole.

        Where the target has it and only its mark is missing, nothing is copied.
        """
        with suppress(BlobNotFound):
            return await target.ask(lambda driver: _only_marked(place, driver))
        for source in holders[:-1]:
            try:
                return await self._copy(place, source, target)
            except DriverError as error:
                log.warning("%s is not copied from %s: %s", place.location, source, error)
        return await self._copy(place, holders[-1], target)

    async def _copy(self, place: Place, source: Store, target: Store) -> StoredBlob:
        origin = await source.ready()
        blob = await target.ask(lambda driver: copy_blob(place, origin, driver))
        try:
            await source.ask(lambda driver: driver.stat_blob(place.within(driver)))
        except BlobNotFound:
            await target.ask(lambda driver: driver.delete_blobs([blob.location]))
            raise
        log.info("%s has been given %s", target, place.location)
        return blob

    async def _work(self) -> None:
        while self._noted:
            place = next(iter(self._noted))
            error = await self._mended(place)
            if error is not None:
                log.info("%s is not repaired yet: %s", place.location, error)
                await asyncio.sleep(self._pause)

    async def _mended(self, place: Place) -> BaseException | None:
        """Why it failed; the place has then gone to the end of the queue."""
        mending = asyncio.create_task(self.mend(place))
        self._under_way = place, mending
        try:
            await asyncio.wait([mending])
        finally:
            await _ended(mending)
            self._under_way = None
        error = None if mending.cancelled() else mending.exception()
        if place in self._noted:
            del self._noted[place]
            if error is not None:
                self._noted[place] = None
        return error


async def _only_marked(place: Place, driver: Driver) -> StoredBlob:
    """The blob, marked now, where the store holds it without its mark; else `BlobNotFound`."""
    if place.mark is None:
        raise BlobNotFound(f"{place.location} has no mark", location=place.location)
    return await driver.mark_blob(driver.location_of(place.blob_id, None), place.mark)


async def _ended(task: asyncio.Task[None] | asyncio.Task[int]) -> None:
    task.cancel()
    await asyncio.wait([task])
