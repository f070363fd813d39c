"""A driver around a driver: passes everything on.  Each wrapper overrides what it is about."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TypeVar

from registry_storage.drivers.api import (
    BlobKind,
    Buffers,
    Driver,
    Handle,
    Mark,
    Part,
    PartData,
    StoredBlob,
    T,
)

R = TypeVar("R")


class DelegatingDriver(Driver):
    """Answers as `inner` does, in its name, with its limits and its extensions."""

    def __init__(self, inner: Driver) -> None:
        self.inner = inner
        self.name = inner.name
        self.limits = inner.limits

    async def start(self) -> None:
        await self.inner.start()

    async def close(self) -> None:
        await self.inner.close()

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return self.inner.location_of(blob_id, mark)

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        return await self.inner.put_blob(blob_id, data, mark)

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        return await self.inner.mark_blob(location, mark)

    def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.inner.read_blob(location, start, stop)

    async def stat_blob(self, location: str) -> StoredBlob:
        return await self.inner.stat_blob(location)

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        await self.inner.delete_blobs(locations)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self.inner.list_blobs(kind)

    async def begin_upload(self, blob_id: str) -> Handle:
        return await self.inner.begin_upload(blob_id)

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        return await self.inner.put_part(handle, number, offset, data, size)

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        return await self.inner.commit_upload(handle, parts, mark)

    async def abort_upload(self, handle: Handle) -> None:
        await self.inner.abort_upload(handle)

    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return self.inner.list_uploads(older_than)

    def extension(self, kind: type[T]) -> T | None:
        return self.inner.extension(kind)


class InterceptingDriver(DelegatingDriver):
    """Passes on through `intercept` all that ends with an answer: reads and listings do not."""

    @abstractmethod
    async def intercept(self, method: str, call: Callable[[], Awaitable[R]]) -> R:
        """Answer for `method`; `call` has `inner` do it, anew each time."""

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        return await self.intercept("put_blob", lambda: self.inner.put_blob(blob_id, data, mark))

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        return await self.intercept("mark_blob", lambda: self.inner.mark_blob(location, mark))

    async def stat_blob(self, location: str) -> StoredBlob:
        return await self.intercept("stat_blob", lambda: self.inner.stat_blob(location))

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        await self.intercept("delete_blobs", lambda: self.inner.delete_blobs(locations))

    async def begin_upload(self, blob_id: str) -> Handle:
        return await self.intercept("begin_upload", lambda: self.inner.begin_upload(blob_id))

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        return await self.intercept(
            "put_part", lambda: self.inner.put_part(handle, number, offset, data, size)
        )

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        return await self.intercept(
            "commit_upload", lambda: self.inner.commit_upload(handle, parts, mark)
        )

    async def abort_upload(self, handle: Handle) -> None:
        await self.intercept("abort_upload", lambda: self.inner.abort_upload(handle))
