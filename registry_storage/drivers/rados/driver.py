"""The driver: `RadosStore`, each operation in one hop to a thread."""

from __future__ import annotations

from registry_storage.drivers._threaded import ObjectStoreDriver, Places
from registry_storage.drivers.api import PartLimits
from registry_storage.drivers.rados.pool import Pool
from registry_storage.drivers.rados.store import RadosStore

THREADS = 32


class RadosDriver(ObjectStoreDriver):
    """Blobs striped over objects of a pool of Ceph."""

    _store: RadosStore

    def __init__(self, pool: Pool, chunk_size: int) -> None:
        super().__init__("rados", THREADS)
        self.limits = PartLimits(preferred_size=chunk_size, max_size=chunk_size)
        self._store = RadosStore(pool, chunk_size)

    async def _delete(self, places: Places) -> None:
        await self._in_shares(self._store.delete, places)
