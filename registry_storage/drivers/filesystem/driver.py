"""The driver: `FileStore`, each operation in one hop to a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from registry_storage.drivers._blocking import BlockingCalls, finished, settled
from registry_storage.drivers.api import (
    BlobKind,
    Buffer,
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
from registry_storage.drivers.filesystem.layout import Place, parse_location, place_of
from registry_storage.drivers.filesystem.segments import Reading
from registry_storage.drivers.filesystem.store import FileStore
from registry_storage.errors import UploadNotFound

BATCH = 1 * MiB
"""So much is gathered before a thread writes it, while the next batch is being gathered."""


class FilesystemDriver(Driver):
    """Blobs as files below one folder.  Extensions: `LocalFiles`, `ForeignData`, `CatalogHome`."""

    name = "filesystem"
    limits = PartLimits(preferred_size=None)

    def __init__(self, root: Path, threads: int = 100) -> None:
        self._root = root
        self._threads = threads
        self._store = FileStore(root)
        self._calls = BlockingCalls(self.name, threads)

    async def start(self) -> None:
        self._calls = BlockingCalls(self.name, self._threads)
        await self._calls.run(self._store.open)

    async def close(self) -> None:
        await self._calls.close()
        self._store.close()

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return Place(blob_id, mark).location

    # Published blobs

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        return await self._calls.run(self._store.put, Place(blob_id, mark), data)

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        return await self._calls.run(self._store.mark, parse_location(location).blob_id, mark)

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        place = parse_location(location)
        reading = await self._calls.run_or_undo(
            Reading.close, lambda: self._store.read(place, start, stop)
        )
        try:
            yield self._pieces(reading)
        finally:
            reading.close()

    async def stat_blob(self, location: str) -> StoredBlob:
        return await self._calls.run(self._store.stat, parse_location(location))

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        places = [place for location in locations if (place := place_of(location))]
        await self._calls.run(self._store.delete, places)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._calls.iterate(self._store.walk(kind))

    # Resumable uploads

    async def begin_upload(self, blob_id: str) -> Handle:
        return await self._calls.run(self._store.begin, blob_id)

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        segment = self._store.segment(handle, offset)
        writing: asyncio.Future[None] | None = None
        try:
            batch: list[Buffer] = []
            gathered = 0
            async for buffer in data:
                batch.append(buffer)
                gathered += len(buffer)
                if gathered >= BATCH:
                    if writing is not None:
                        await finished(writing)
                    writing = self._calls.start(segment.write, batch)
                    batch, gathered = [], 0
            if writing is not None:
                await finished(writing)
            written = await self._calls.run(segment.finish, batch)
        except BaseException:
            await settled(writing)
            await self._calls.run(segment.discard)
            raise
        return Part(number, offset, written, segment.name)

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        return await self._calls.run(self._store.commit, handle, parts, mark)

    async def abort_upload(self, handle: Handle) -> None:
        with suppress(UploadNotFound):  # not a handle of ours: nothing to forget
            await self._calls.run(self._store.abort, handle)

    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return self._calls.iterate(self._store.uploads(older_than))

    # Extensions

    def blob_path(self, location: str) -> Path:
        """Where a published blob's file lies (`LocalFiles`)."""
        return self._root / parse_location(location).location

    def catalog_directory(self) -> Path:
        """The root: one volume holds the images and their catalog (`CatalogHome`)."""
        return self._root

    async def describe(self) -> str | None:
        """What of somebody else's lies in the root (`ForeignData`)."""
        return "a distribution tree" if await self._calls.run(self._store.foreign_tree) else None

    async def _pieces(self, reading: Reading) -> AsyncIterator[bytes]:
        if reading.at_once:
            yield reading.at_once
        while reading.position < reading.stop:
            yield await self._calls.run(reading.next_piece)
