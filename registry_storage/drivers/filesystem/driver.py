"""The driver: `FileStore`, each operation in one hop to a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from registry_storage.drivers._blocking import finished, settled
from registry_storage.drivers._threaded import ThreadedDriver
from registry_storage.drivers.api import (
    Buffer,
    Handle,
    MiB,
    Part,
    PartData,
    PartLimits,
)
from registry_storage.drivers.filesystem import layout
from registry_storage.drivers.filesystem.layout import Place, parse_location
from registry_storage.drivers.filesystem.segments import Reading
from registry_storage.drivers.filesystem.store import FileStore

BATCH = 1 * MiB
"""So much is gathered before a thread writes it, while the next batch is being gathered."""


class FilesystemDriver(ThreadedDriver[Place]):
    """Blobs as files below one folder.  Extensions: `LocalFiles`, `ForeignData`, `CatalogHome`."""

    limits = PartLimits(preferred_size=None)

    _store: FileStore

    def __init__(self, root: Path, threads: int = 100) -> None:
        super().__init__("filesystem", threads, layout)
        self._root = root
        self._store = FileStore(root)

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

    async def _delete(self, places: Sequence[Place]) -> None:
        await self._calls.run(self._store.delete, places)

    async def _pieces(self, reading: Reading) -> AsyncIterator[bytes]:
        if reading.at_once:
            yield reading.at_once
        while reading.position < reading.stop:
            yield await self._calls.run(reading.next_piece)
