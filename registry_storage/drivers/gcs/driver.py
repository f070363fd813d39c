"""The driver: every operation of the interface, made of single requests on threads.

*Why racing commits are safe.*  Whoever publishes an upload composes, in the last step, from at
least one object that was uploaded as a part, and nobody answers before all of the upload's objects
are gone.  So once anybody has been answered, a slower commit finds a source missing and publishes
nothing.  Two that compose at the same time meet the precondition: the key must be free.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from itertools import chain
from typing import Final, ParamSpec, TypeVar

from registry_storage.drivers._blocking import BlockingCalls
from registry_storage.drivers._object_layout import (
    FOREIGN_TREE,
    UPLOADS,
    Place,
    is_empty,
    parse_location,
    place_of,
    stored_blobs,
)
from registry_storage.drivers._reading import pieces_of
from registry_storage.drivers.api import (
    BlobKind,
    Buffers,
    Driver,
    Handle,
    Mark,
    Part,
    PartData,
    PartLimits,
    Redirects,
    StoredBlob,
)
from registry_storage.drivers.gcs.bucket import Bucket, Stored
from registry_storage.drivers.gcs.client import make_client
from registry_storage.drivers.gcs.config import GcsConfig
from registry_storage.drivers.gcs.failures import KeyTaken
from registry_storage.drivers.gcs.uploads import Upload, parse_handle, uploads_below
from registry_storage.errors import (
    BlobNotFound,
    DriverError,
    UploadNotFound,
)

SOURCES: Final = 32
"""So many objects are composed in one request at most."""

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class GcsDriver(Driver):
    """Blobs as objects of one bucket.

    Extensions: `ForeignData`; `Redirects` where the credentials can sign.
    """

    name = "gcs"

    def __init__(self, config: GcsConfig) -> None:
        self.limits = PartLimits(preferred_size=config.chunksize)
        self._config = config
        self._calls = BlockingCalls(self.name, config.maxconcurrency)
        self._opened: Bucket | None = None

    async def start(self) -> None:
        self._calls = BlockingCalls(self.name, self._config.maxconcurrency)
        self._opened = await self._calls.run(_open, self._config)

    async def close(self) -> None:
        await self._calls.close()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return Place(blob_id, mark).location

    # Published blobs

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        place = Place(blob_id, mark)
        return await self._vouched(place, await self._created(place.data_key, data))

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        place = Place(parse_location(location).blob_id, mark)
        return await self._vouched(place, await self._run(self._bucket.stat, place.data_key))

    def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return pieces_of(
            self._calls,
            lambda: self._bucket.read(parse_location(location).data_key, start, stop),
        )

    async def stat_blob(self, location: str) -> StoredBlob:
        place = parse_location(location)
        if place.mark is None:
            return _unmarked(place, await self._run(self._bucket.stat, place.data_key))
        for found in await self._marks_of(place):
            size = int(found.key.rpartition(".")[2])
            return StoredBlob(place.location, size, place.mark, found.stored_at)
        raise BlobNotFound(f"nothing is stored at {location}", location=location)

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        places = filter(None, map(place_of, locations))
        await _all(self._delete_blob(place) for place in places)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._calls.iterate(stored_blobs(self._bucket.listing, kind))

    # Resumable uploads

    async def begin_upload(self, blob_id: str) -> Handle:
        upload = Upload(blob_id, datetime.now(UTC))
        await self._run(self._bucket.create, upload.open_key, [])
        return upload.handle

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        upload = parse_handle(handle)
        buffers = [buffer async for buffer in data]
        stored = await self._run(self._bucket.create, upload.new_key(number), buffers)
        try:
            await self._run(self._bucket.stat, upload.open_key)
        except BlobNotFound:
            await self._delete([stored.key])
            raise _no_upload(upload) from None
        return Part(number, offset, stored.size, upload.token(stored))

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        upload = parse_handle(handle)
        place = Place(upload.blob_id, mark)
        there = {found.key: found for found in await self._listed(upload.prefix)}
        if upload.open_key in there:
            data = await self._published(upload, place, upload.sources(parts, there))
            blob = await self._vouched(place, data)
        else:
            blob = await self._committed_before(upload, place)
        await self._clear(upload)
        return blob

    async def abort_upload(self, handle: Handle) -> None:
        with suppress(UploadNotFound):  # not a handle of ours: nothing to forget
            await self._clear(parse_handle(handle))

    async def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        folders = self._calls.iterate(self._bucket.folders(UPLOADS))
        async for upload in uploads_below(folders):
            if upload.begun < older_than:
                yield upload.handle

    # Extensions

    def extension(self, kind: type[T]) -> T | None:
        if kind is Redirects and not (self._opened and self._opened.signs):
            return None
        return super().extension(kind)

    async def blob_url(self, location: str, valid_for: float, method: str = "GET") -> str | None:
        """A signed URL, for seven days at most (`Redirects`)."""
        key = parse_location(location).data_key
        return await self._run(self._bucket.signed_url, key, valid_for, method)

    async def describe(self) -> str | None:
        """Says where distribution has kept its images (`ForeignData`)."""
        if await self._run(is_empty, self._bucket.listing, FOREIGN_TREE):
            return None
        return f"a distribution tree, at {FOREIGN_TREE} of bucket {self._bucket.name}"

    # Single requests

    @property
    def _bucket(self) -> Bucket:
        if self._opened is None:
            raise DriverError("the gcs driver has not been started")
        return self._opened

    async def _run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._calls.run(call, *args, **kwargs)

    async def _listed(self, prefix: str) -> list[Stored]:
        return await self._run(lambda: list(self._bucket.listing(prefix)))

    async def _created(self, key: str, data: Buffers) -> Stored:
        """Store `data`, or find what was stored there before."""
        try:
            return await self._run(self._bucket.create, key, data)
        except KeyTaken:
            return await self._run(self._bucket.stat, key)

    async def _delete(self, keys: Iterable[str]) -> None:
        await _all(self._run(self._bucket.delete, key) for key in keys)

    # Marks

    async def _vouched(self, place: Place, data: Stored) -> StoredBlob:
        """The blob, marked where `place` is; its bytes are there."""
        if place.mark is None:
            return _unmarked(place, data)
        mark = await self._created(place.mark_key(data.size), [])
        try:
            await self._run(self._bucket.stat, place.data_key)
        except BlobNotFound:  # deleted meanwhile, and its marks too, but not this one
            await self._delete([mark.key])
            raise
        return StoredBlob(place.location, data.size, place.mark, mark.stored_at)

    async def _marks_of(self, place: Place) -> list[Stored]:
        return list(chain(*await _all(map(self._listed, place.mark_prefixes()))))

    async def _delete_blob(self, place: Place) -> None:
        await self._delete(mark.key for mark in await self._marks_of(place))
        await self._delete([place.data_key])
        # What was written while the bytes were still there has not found them missing.
        await self._delete(mark.key for mark in await self._marks_of(place))

    # Publishing

    async def _published(self, upload: Upload, place: Place, sources: list[Stored]) -> Stored:
        """The bytes under the blob's key, whoever composed them."""
        try:
            return await self._composed(upload, place.data_key, sources)
        except DriverError as error:
            # Another commit, or this request itself if just its answer was lost.
            with suppress(BlobNotFound):
                return await self._run(self._bucket.stat, place.data_key)
            if isinstance(error, BlobNotFound):
                raise _no_upload(upload) from None
            raise

    async def _composed(self, upload: Upload, key: str, sources: list[Stored]) -> Stored:
        """Join all sources under `key`, by a tree of requests if they are many.

        The last source goes into the last request as it is: the module's docstring says why.
        """
        if not sources:
            return await self._run(self._bucket.create, key, [])
        *level, last = sources
        while len(level) >= SOURCES:
            groups = [level[at : at + SOURCES] for at in range(0, len(level), SOURCES)]
            level = await _all(
                self._run(self._bucket.compose, upload.new_key(0), group) for group in groups
            )
        return await self._run(self._bucket.compose, key, [*level, last])

    async def _committed_before(self, upload: Upload, place: Place) -> StoredBlob:
        try:
            return await self.stat_blob(place.location)
        except BlobNotFound:
            raise _no_upload(upload) from None

    async def _clear(self, upload: Upload) -> None:
        """Close the upload, then delete what is left of it; parts may still be arriving."""
        await self._delete([upload.open_key])
        while left := await self._listed(upload.prefix):
            await self._delete(found.key for found in left)


def _open(config: GcsConfig) -> Bucket:
    client, signer = make_client(config)
    bucket = Bucket(client, signer, config.bucket, config.rootdirectory)
    try:
        bucket.check()
    except BaseException:
        bucket.close()
        raise
    return bucket


def _unmarked(place: Place, data: Stored) -> StoredBlob:
    return StoredBlob(place.location, data.size, None, data.stored_at)


def _no_upload(upload: Upload) -> UploadNotFound:
    return UploadNotFound(f"there is no upload {upload.handle}")


async def _all(calls: Iterable[Awaitable[R]]) -> list[R]:
    """The results, in order.  Where some fail, the first error, when all have ended."""
    results = []
    for ended in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended
        results.append(ended)
    return results
