"""The driver: `RadosStore`, each operation in one hop to a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from registry_storage.drivers._blocking import BlockingCalls, finished, settled
from registry_storage.drivers._object_layout import Place, parse_location, place_of
from registry_storage.drivers.api import (
    BlobKind,
    Buffer,
    Buffers,
    Driver,
    Handle,
    Mark,
    Part,
    PartData,
    PartLimits,
    StoredBlob,
)
from registry_storage.drivers.rados.pool import Pool
from registry_storage.drivers.rados.store import Extent, RadosStore
from registry_storage.errors import DriverError, UploadNotFound

THREADS = 32


class RadosDriver(Driver):
    """Blobs striped over objects of a pool of Ceph."""

    name = "rados"

    def __init__(self, pool: Pool, chunk_size: int) -> None:
        self.limits = PartLimits(preferred_size=chunk_size, max_size=chunk_size)
        self._chunk_size = chunk_size
        self._store = RadosStore(pool)
        self._calls = BlockingCalls(self.name, THREADS)

    async def start(self) -> None:
        self._calls = BlockingCalls(self.name, THREADS)
        await self._calls.run(self._store.open)

    async def close(self) -> None:
        await self._calls.close()
        await asyncio.to_thread(self._store.close)

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return Place(blob_id, mark).location

    # Published blobs

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        joined = self._joined(data)
        return await self._calls.run(self._store.put, Place(blob_id, mark), joined)

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        return await self._calls.run(self._store.mark, parse_location(location).blob_id, mark)

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        place = parse_location(location)
        extents = await self._calls.run(self._store.extents, place, start, stop)
        reading = _Reading(lambda extent: self._calls.start(self._store.read, extent), extents)
        try:
            yield reading.pieces()
        finally:
            await reading.settle()

    async def stat_blob(self, location: str) -> StoredBlob:
        return await self._calls.run(self._store.stat, parse_location(location))

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        places = [place for location in locations if (place := place_of(location))]
        await self._calls.run(self._store.delete, places)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._calls.iterate(self._store.blobs(kind))

    # Resumable uploads

    async def begin_upload(self, blob_id: str) -> Handle:
        return await self._calls.run(self._store.begin, blob_id)

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        joined = self._joined([buffer async for buffer in data])
        name = await self._calls.run(self._store.put_part, handle, joined)
        return Part(number, offset, len(joined), name)

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        return await self._calls.run(self._store.commit, handle, parts, mark)

    async def abort_upload(self, handle: Handle) -> None:
        with suppress(UploadNotFound):  # not a handle of ours: nothing to forget
            await self._calls.run(self._store.abort, handle)

    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return self._calls.iterate(self._store.uploads(older_than))

    def _joined(self, data: Sequence[Buffer]) -> bytes:
        """The bytes of one object, as librados takes them."""
        joined = b"".join(data)
        if len(joined) > self._chunk_size:
            raise DriverError(
                f"{len(joined)} bytes are too many for one object: at most {self._chunk_size}"
            )
        return joined


class _Reading:
    """The extents of a blob, one after the other; the next is under way while one is in use."""

    def __init__(
        self, read: Callable[[Extent], asyncio.Future[bytes]], extents: Iterable[Extent]
    ) -> None:
        self._read = read
        self._rest = iter(extents)
        self._next: asyncio.Future[bytes] | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """Their bytes."""
        self._read_ahead()
        while self._next is not None:
            piece = await finished(self._next)
            self._read_ahead()
            yield piece

    async def settle(self) -> None:
        """Return when nothing is under way any more."""
        await settled(self._next)

    def _read_ahead(self) -> None:
        extent = next(self._rest, None)
        self._next = self._read(extent) if extent else None
