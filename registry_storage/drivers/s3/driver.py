"""The driver: `S3Store`, each operation in one hop to a thread."""

from __future__ import annotations

from itertools import chain
from typing import Final

from registry_storage.drivers._object_layout import parse_location
from registry_storage.drivers._threaded import ObjectStoreDriver, Places
from registry_storage.drivers.api import MiB, PartLimits
from registry_storage.drivers.s3.config import S3Config
from registry_storage.drivers.s3.store import S3Store
from registry_storage.drivers.s3.uploads import SMALLEST_PART

LARGEST_PART: Final = 5 * 1024 * MiB
MOST_PARTS: Final = 10_000


class S3Driver(ObjectStoreDriver):
    """Blobs as objects of a bucket.  Extensions: `Redirects`, `ForeignData`."""

    _store: S3Store

    def __init__(self, config: S3Config, name: str = "s3") -> None:
        super().__init__(name, config.maxconcurrency)
        self.limits = PartLimits(
            min_size=SMALLEST_PART,
            max_size=LARGEST_PART,
            max_parts=MOST_PARTS,
            preferred_size=config.chunksize,
            uniform=config.uniform,
        )
        self._store = S3Store(config)

    async def blob_url(self, location: str, valid_for: float, method: str = "GET") -> str | None:
        """A presigned URL of the store, or of `redirectendpoint` (`Redirects`)."""
        seconds = max(1, round(valid_for))
        return await self._calls.run(self._store.url, parse_location(location), seconds, method)

    async def describe(self) -> str | None:
        """What of somebody else's lies below the root (`ForeignData`)."""
        return "a distribution tree" if await self._calls.run(self._store.foreign_tree) else None

    async def _delete(self, places: Places) -> None:
        marks = await self._in_shares(self._store.keys_of_marks, places)
        await self._calls.run(self._store.delete, chain.from_iterable(marks), places)
