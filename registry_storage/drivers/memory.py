"""The `memory` driver: a store in a dictionary, gone when the process ends.

It is the reference model of the contract: short enough to be read at once, and strict.  Limits that
are asked of it are enforced, so that whatever cuts parts can be tried against the limits of any
backend.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

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
from registry_storage.errors import (
    BlobNotFound,
    DriverError,
    PartLost,
    RangeNotSatisfiable,
    UploadNotFound,
)
from registry_storage.hookspecs import DriverConfig, DriverFactory, OpenDriver, hookimpl

PIECE = 1 * MiB


class MemoryConfig(DriverConfig):
    """The memory driver has no settings."""


@dataclass(slots=True)
class _Upload:
    blob_id: str
    begun: datetime
    parts: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class MemorySpace:
    """What is stored.  Drivers that share one are instances over the same backend."""

    blobs: dict[str, tuple[StoredBlob, bytes]] = field(default_factory=dict)
    uploads: dict[Handle, _Upload] = field(default_factory=dict)


class MemoryDriver(Driver):
    """Keeps everything in `space`; see the module's docstring."""

    def __init__(
        self,
        space: MemorySpace | None = None,
        limits: PartLimits | None = None,
        name: str = "memory",
    ) -> None:
        self.name = name
        self.limits = limits or PartLimits()
        self._space = space or MemorySpace()

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to free: a space lives as long as somebody refers to it."""

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return f"{mark.kind}/{mark.digest}/{blob_id}" if mark else f"unmarked/{blob_id}"

    def catalog_directory(self) -> None:
        """None: the catalog ends with the process too (`CatalogHome`)."""

    # Published blobs

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        joined = b"".join(data)
        most = self.limits.preferred_size or 8 * MiB
        if len(joined) > most:
            raise DriverError(f"{len(joined)} bytes are too many for put_blob: at most {most}")
        return self._publish(blob_id, joined, mark)

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        blob_id = _blob_id(location)
        unmarked = self.location_of(blob_id, None)
        marked = self.location_of(blob_id, mark)
        if found := self._space.blobs.pop(unmarked, None):
            blob, data = found
            moved = StoredBlob(marked, blob.size, mark, blob.stored_at)
            self._space.blobs[marked] = (moved, data)
        return self._found(marked)[0]

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        blob, data = self._found(location)
        if start > blob.size:
            raise RangeNotSatisfiable(
                f"{location} has {blob.size} bytes, so none at {start}",
                size=blob.size,
                location=location,
            )
        yield _pieces(data[start:stop])

    async def stat_blob(self, location: str) -> StoredBlob:
        return self._found(location)[0]

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        for location in locations:
            self._space.blobs.pop(location, None)
            if location.startswith("unmarked/"):
                self._delete_marked(_blob_id(location))

    async def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        for blob, _ in list(self._space.blobs.values()):
            if kind is None or (blob.mark and blob.mark.kind is kind):
                yield blob

    # Resumable uploads

    async def begin_upload(self, blob_id: str) -> Handle:
        handle = f"{blob_id}.{secrets.token_hex(8)}"
        self._space.uploads[handle] = _Upload(blob_id, datetime.now(UTC))
        return handle

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        self._upload(handle)
        if self.limits.needs_size and size is None:
            raise DriverError("this store needs a part's size before its bytes")
        received = b"".join([bytes(piece) async for piece in data])
        self._check_part(number, len(received))
        token = secrets.token_hex(8)
        self._upload(handle).parts[token] = received
        return Part(number, offset, len(received), token)

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        location = self.location_of(_blob_id_of_handle(handle), mark)
        if location not in self._space.blobs:
            upload = self._upload(handle)
            self._check_sizes(parts)
            self._publish(upload.blob_id, _joined(upload, parts), mark)
        self._space.uploads.pop(handle, None)
        return self._found(location)[0]

    async def abort_upload(self, handle: Handle) -> None:
        self._space.uploads.pop(handle, None)

    async def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        for handle, upload in list(self._space.uploads.items()):
            if upload.begun < older_than:
                yield handle

    # Helpers

    def _publish(self, blob_id: str, data: bytes, mark: Mark | None) -> StoredBlob:
        location = self.location_of(blob_id, mark)
        blob = StoredBlob(location, len(data), mark, datetime.now(UTC))
        return self._space.blobs.setdefault(location, (blob, data))[0]

    def _found(self, location: str) -> tuple[StoredBlob, bytes]:
        try:
            return self._space.blobs[location]
        except KeyError:
            raise BlobNotFound(f"nothing is stored at {location}", location=location) from None

    def _upload(self, handle: Handle) -> _Upload:
        try:
            return self._space.uploads[handle]
        except KeyError:
            raise UploadNotFound(f"there is no upload {handle}") from None

    def _delete_marked(self, blob_id: str) -> None:
        for location in [known for known in self._space.blobs if _blob_id(known) == blob_id]:
            del self._space.blobs[location]

    def _check_part(self, number: int, size: int) -> None:
        if self.limits.max_parts is not None and number > self.limits.max_parts:
            raise DriverError(f"part number {number} is above {self.limits.max_parts}")
        if self.limits.max_size is not None and size > self.limits.max_size:
            raise DriverError(f"a part of {size} bytes is above {self.limits.max_size}")

    def _check_sizes(self, parts: Sequence[Part]) -> None:
        if any(part.size < self.limits.min_size for part in parts[:-1]):
            raise DriverError(f"only the last part may be below {self.limits.min_size} bytes")
        if self.limits.uniform and any(a.size != b.size for a, b in pairwise(parts[:-1])):
            raise DriverError("all parts but the last must be equally long")


def _blob_id(location: str) -> str:
    return location.rpartition("/")[2]


def _blob_id_of_handle(handle: Handle) -> str:
    return handle.partition(".")[0]


def _joined(upload: _Upload, parts: Sequence[Part]) -> bytes:
    try:
        return b"".join(upload.parts[part.token] for part in parts)
    except KeyError as error:
        raise PartLost(f"part {error} of the upload is gone") from None


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


def _factory(name: str) -> DriverFactory:
    def make(config: MemoryConfig, open_driver: OpenDriver) -> Driver:
        return MemoryDriver(name=name)

    return DriverFactory(name, MemoryConfig, make, example={})


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    """The driver, and the name that distribution gives it."""
    return [_factory("memory"), _factory("inmemory")]
