"""The driver: `Bucket` and `Uploads`, each operation in one hop to a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from typing import Final

from registry_storage.drivers._blocking import BlockingCalls
from registry_storage.drivers._object_layout import Place, parse_location, place_of
from registry_storage.drivers._reading import pieces_of
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
from registry_storage.drivers.s3.bucket import Bucket
from registry_storage.drivers.s3.config import S3Config
from registry_storage.drivers.s3.requests import Requests
from registry_storage.drivers.s3.uploads import SMALLEST_PART, Uploads, blob_id_of
from registry_storage.errors import UploadNotFound

LARGEST_PART: Final = 5 * 1024 * MiB
MOST_PARTS: Final = 10_000


class S3Driver(Driver):
    """Blobs as objects of a bucket.  Extensions: `Redirects`, `ForeignData`."""

    def __init__(self, config: S3Config, name: str = "s3") -> None:
        self.name = name
        self.limits = PartLimits(
            min_size=SMALLEST_PART,
            max_size=LARGEST_PART,
            max_parts=MOST_PARTS,
            preferred_size=config.chunksize,
            uniform=config.uniform,
        )
        self._threads = config.maxconcurrency
        self._requests = Requests(config)
        self._bucket = Bucket(self._requests)
        self._uploads = Uploads(self._requests)
        self._calls = BlockingCalls(name, self._threads)

    async def start(self) -> None:
        self._calls = BlockingCalls(self.name, self._threads)
        await self._calls.run(self._requests.open)

    async def close(self) -> None:
        await self._calls.close()
        self._requests.close()

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return Place(blob_id, mark).location

    # Published blobs

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        return await self._calls.run(self._bucket.put, Place(blob_id, mark), _joined(data))

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        place = Place(parse_location(location).blob_id, mark)
        return await self._calls.run(self._bucket.mark, place)

    def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return pieces_of(
            self._calls, lambda: self._bucket.read(parse_location(location), start, stop)
        )

    async def stat_blob(self, location: str) -> StoredBlob:
        return await self._calls.run(self._bucket.stat, parse_location(location))

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        places = [place for location in locations if (place := place_of(location))]
        found = await asyncio.gather(
            *(self._calls.run(self._bucket.keys_of_marks, place) for place in places)
        )
        marks = [key for keys in found for key in keys]
        await self._calls.run(self._bucket.delete, marks, places)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._calls.iterate(self._bucket.walk(kind))

    # Resumable uploads

    async def begin_upload(self, blob_id: str) -> Handle:
        return await self._calls.run(self._uploads.begin, blob_id)

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        whole = _joined([piece async for piece in data])
        token = await self._calls.run(self._uploads.put_part, handle, number, whole)
        return Part(number, offset, len(whole), token)

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        place = Place(blob_id_of(handle), mark)

        def publish() -> StoredBlob:
            self._uploads.publish(handle, parts)
            return self._bucket.published(place, sum(part.size for part in parts))

        return await self._calls.run(publish)

    async def abort_upload(self, handle: Handle) -> None:
        with suppress(UploadNotFound):  # not a handle of ours: nothing to forget
            await self._calls.run(self._uploads.abort, handle)

    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return self._calls.iterate(self._uploads.walk(older_than))

    # Extensions

    async def blob_url(self, location: str, valid_for: float, method: str = "GET") -> str | None:
        """A presigned URL of the store, or of `redirectendpoint` (`Redirects`)."""
        seconds = max(1, round(valid_for))
        return await self._calls.run(self._bucket.url, parse_location(location), seconds, method)

    async def describe(self) -> str | None:
        """What of somebody else's lies below the root (`ForeignData`)."""
        foreign = await self._calls.run(self._bucket.has_foreign_tree)
        return "a distribution tree" if foreign else None


def _joined(pieces: Buffers) -> bytes:
    """One piece of memory, as the SDK wants a body; copied only where there are several."""
    if len(pieces) == 1 and isinstance(pieces[0], bytes):
        return pieces[0]
    return b"".join(pieces)
