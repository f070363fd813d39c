"""Walks over all stores of a mirror at once: what is stored, and what some of them lack.

Ids are held in memory meanwhile, about a hundred bytes for each blob.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from registry_storage.drivers.api import BlobKind, RepairProgress, StoredBlob
from registry_storage.drivers.composite.mirror.naming import Place, parse_location, place_in
from registry_storage.drivers.composite.mirror.repairs import Repairs
from registry_storage.drivers.composite.mirror.stores import Store
from registry_storage.errors import DriverError

R = TypeVar("R")

AT_ONCE: Final = 8
"""So many blobs are repaired at the same time."""

log = logging.getLogger(__name__)


async def gathered(items: AsyncIterator[R]) -> list[R]:
    """All items."""
    return [item async for item in items]


async def merged(
    stores: Sequence[Store], kind: BlobKind | None, may_fail: int
) -> AsyncIterator[StoredBlob]:
    """What the stores hold, each blob once: marked if any store has it marked.

    So many stores may fail to list theirs; else the first error is raised.
    """
    seen: set[bytes] = set()
    unmarked: dict[bytes, StoredBlob] = {}
    for store in stores:
        try:
            async for place, blob in _listed(store, kind):
                key = bytes.fromhex(place.blob_id)
                renamed = StoredBlob(place.location, blob.size, place.mark, blob.stored_at)
                if place.mark is None:
                    unmarked.setdefault(key, renamed)
                elif key not in seen:
                    seen.add(key)
                    yield renamed
        except DriverError as error:
            store.failed(error)
            if not may_fail:
                raise
            may_fail -= 1
            log.warning("the listing goes on without %s of the mirror: %s", store, error)
    for key, blob in unmarked.items():
        if key not in seen:
            yield blob


async def repaired(stores: Sequence[Store], repairs: Repairs) -> AsyncIterator[RepairProgress]:
    """Repair all marked blobs that some store lacks; see `Repairs.repair`."""
    holders: dict[str, int] = {}
    for store in stores:
        async for place, _ in _listed(store, None):
            if place.mark is not None:
                holders[place.location] = holders.get(place.location, 0) + 1
    lacking = [location for location, count in holders.items() if count < len(stores)]
    progress = RepairProgress(len(holders), len(lacking), 0)
    yield progress
    waiting = iter(lacking)
    while batch := list(islice(waiting, AT_ONCE)):
        progress = await _mended(batch, repairs, progress)
        yield progress


async def _mended(
    locations: Sequence[str], repairs: Repairs, before: RepairProgress
) -> RepairProgress:
    mends = [repairs.mend(parse_location(location)) for location in locations]
    results = await asyncio.gather(*mends, return_exceptions=True)
    failures = [
        f"{location}: {result}"
        for location, result in zip(locations, results, strict=True)
        if isinstance(result, DriverError)
    ]
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, DriverError):
            raise result
    return RepairProgress(
        before.blobs,
        before.lacking,
        before.repaired + len(locations) - len(failures),
        (*before.failures, *failures),
    )


async def _listed(store: Store, kind: BlobKind | None) -> AsyncIterator[tuple[Place, StoredBlob]]:
    driver = await store.ready()
    async for blob in driver.list_blobs(kind):
        yield place_in(driver, blob), blob
