"""The driver: the contract of `registry_storage.drivers.api` over a bucket of Kodo."""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from registry_storage.drivers._blocking import BlockingCalls
from registry_storage.drivers._object_layout import (
    FOREIGN_TREE,
    Place,
    is_empty,
    parse_location,
    stored_blobs,
)
from registry_storage.drivers.api import (
    BlobKind,
    Buffers,
    Driver,
    Handle,
    Mark,
    MiB,
    Part,
    PartData,
    PartLimits,
    StoredBlob,
)
from registry_storage.drivers.kodo import store
from registry_storage.drivers.kodo.config import KodoConfig
from registry_storage.drivers.kodo.service import Bucket, Pieces
from registry_storage.drivers.kodo.transport import TIMEOUT


class KodoDriver(Driver):
    """Blobs as objects of one bucket.  Extensions: `Redirects`, `ForeignData`."""

    def __init__(
        self, config: KodoConfig, name: str = "kodo", timeout: tuple[float, float] = TIMEOUT
    ) -> None:
        self.name = name
        self.limits = PartLimits(
            min_size=1 * MiB,
            max_size=1024 * MiB,
            max_parts=10_000,
            preferred_size=config.chunksize,
        )
        self._bucket = Bucket(config, timeout)
        self._threads = config.maxconcurrency
        self._calls = BlockingCalls(name, self._threads)

    async def start(self) -> None:
        self._calls = BlockingCalls(self.name, self._threads)
        nobodys = Place(secrets.token_hex(16), None).data_key
        await self._calls.run(self._bucket.open, nobodys)

    async def close(self) -> None:
        await self._calls.close()
        self._bucket.close()

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return Place(blob_id, mark).location

    # Published blobs

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        place = Place(blob_id, mark)
        return await self._calls.run(store.put, self._bucket, place, b"".join(data))

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        return await self._calls.run(store.vouch, self._bucket, location, mark)

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        download = await self._calls.run_or_undo(
            _close,
            lambda: store.read(self._bucket, location, start, stop),
        )
        try:
            yield self._pieces(download)
        finally:
            _close(download)

    async def stat_blob(self, location: str) -> StoredBlob:
        return await self._calls.run(store.stat, self._bucket, location)

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        await self._calls.run(store.delete, self._bucket, locations)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._calls.iterate(stored_blobs(self._bucket.listing, kind))

    # Resumable uploads

    async def begin_upload(self, blob_id: str) -> Handle:
        return await self._calls.run(store.begin, self._bucket, blob_id)

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        pieces = Pieces([piece async for piece in data])
        etag = await self._calls.run(store.put_part, self._bucket, handle, number, pieces)
        return Part(number, offset, len(pieces), etag)

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        return await self._calls.run(store.commit, self._bucket, handle, parts, mark)

    async def abort_upload(self, handle: Handle) -> None:
        await self._calls.run(store.abort, self._bucket, handle)

    async def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        """None: Kodo has no such call; it drops unfinished uploads after seven days by itself."""
        nothing: tuple[Handle, ...] = ()
        for handle in nothing:
            yield handle

    # Extensions

    async def blob_url(self, location: str, valid_for: float, method: str = "GET") -> str | None:
        """A URL at the download domain, good for GET and HEAD (`Redirects`)."""
        return self._bucket.url(parse_location(location).data_key, math.ceil(valid_for))

    async def describe(self) -> str | None:
        """What of somebody else's lies in the bucket (`ForeignData`)."""
        is_ours = await self._calls.run(is_empty, self._bucket.listing, FOREIGN_TREE)
        return None if is_ours else "a distribution tree"

    async def _pieces(self, download: store.Download | None) -> AsyncIterator[bytes]:
        while download and (piece := await self._calls.run(download.next_piece)):
            yield piece


def _close(download: store.Download | None) -> None:
    if download:
        download.close()
