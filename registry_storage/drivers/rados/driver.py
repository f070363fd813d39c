"""The driver: `RadosStore`, each operation in one hop to a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime

from registry_storage.drivers._blocking import BlockingCalls
from registry_storage.drivers._object_layout import Place, parse_location, place_of
from registry_storage.drivers._reading import pieces_of
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
from registry_storage.drivers.rados.store import RadosStore
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

    def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return pieces_of(
            self._calls, lambda: self._store.read(parse_location(location), start, stop)
        )

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
