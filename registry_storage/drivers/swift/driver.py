"""The driver: `SwiftStore`, each operation in one hop to a thread."""

from __future__ import annotations

from typing import Final

from registry_storage.drivers._threaded import ObjectStoreDriver, Places
from registry_storage.drivers.api import MiB, PartLimits
from registry_storage.drivers.swift.account import Account, Cluster
from registry_storage.drivers.swift.config import SwiftConfig
from registry_storage.drivers.swift.store import SwiftStore
from registry_storage.drivers.swift.urls import TemporaryUrls
from registry_storage.errors import DriverError

SMALLEST_SEGMENT: Final = 1 * MiB
"""Old clusters take none below, and others serve smaller ones no faster than one a second."""

LARGEST_SEGMENT: Final = 5 * 1024 * MiB


class SwiftDriver(ObjectStoreDriver):
    """Blobs as objects in a container.  Extensions: `Redirects`, `ForeignData`."""

    _store: SwiftStore

    def __init__(self, config: SwiftConfig) -> None:
        super().__init__("swift", config.maxconnections)
        self._config = config
        self.limits = PartLimits(
            min_size=SMALLEST_SEGMENT,
            max_size=LARGEST_SEGMENT,
            max_parts=config.maxsegments,
            preferred_size=config.chunksize,
        )
        self._account = Account(config)
        self._urls: TemporaryUrls

    async def blob_url(self, location: str, valid_for: float, method: str = "GET") -> str | None:
        """A temporary URL of the blob's object (`Redirects`)."""
        name = self._store.object_name(location)
        return self._urls.url(name, valid_for, method) if name else None

    async def describe(self) -> str | None:
        """What of somebody else's lies in the container (`ForeignData`)."""
        return "a distribution tree" if await self._calls.run(self._store.foreign_tree) else None

    async def _delete(self, places: Places) -> None:
        await self._in_shares(self._store.delete, places)

    def _close(self) -> None:
        self._account.close()

    def _open(self) -> None:
        self._account.open()
        cluster = self._account.cluster()
        self._check(cluster)
        self._store = SwiftStore(self._account, self._config, cluster)
        self._store.open()
        self._urls = TemporaryUrls(self._account, self._config, cluster)
        self._urls.open()

    def _check(self, cluster: Cluster) -> None:
        if not cluster.has_slo:
            raise DriverError(
                f"{self._account.url} has no static large objects: ask its operator to enable the "
                "middleware slo"
            )
        most = cluster.max_segments
        if most is not None and most < self._config.maxsegments:
            raise DriverError(
                f"storage.swift.maxsegments: {self._account.url} takes {most} segments in one "
                f"object, not {self._config.maxsegments}: set it to {most}"
            )
