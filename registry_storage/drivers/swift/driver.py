"""The driver: `SwiftStore`, each operation in one hop to a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
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
from registry_storage.drivers.swift.account import Account, Cluster
from registry_storage.drivers.swift.config import SwiftConfig
from registry_storage.drivers.swift.store import SwiftStore
from registry_storage.drivers.swift.urls import TemporaryUrls
from registry_storage.errors import DriverError

SMALLEST_SEGMENT: Final = 1 * MiB
"""Old clusters take none below, and others serve smaller ones no faster than one a second."""

LARGEST_SEGMENT: Final = 5 * 1024 * MiB

DELETING: Final = 8
"""So many blobs are deleted at once."""


class SwiftDriver(Driver):
    """Blobs as objects in a container.  Extensions: `Redirects`, `ForeignData`."""

    name = "swift"

    def __init__(self, config: SwiftConfig) -> None:
        self._config = config
        self.limits = PartLimits(
            min_size=SMALLEST_SEGMENT,
            max_size=LARGEST_SEGMENT,
            max_parts=config.maxsegments,
            preferred_size=config.chunksize,
        )
        self._account = Account(config)
        self._calls = BlockingCalls(self.name, config.maxconnections)
        self._store: SwiftStore
        self._urls: TemporaryUrls

    async def start(self) -> None:
        self._calls = BlockingCalls(self.name, self._config.maxconnections)
        await self._calls.run(self._open)

    async def close(self) -> None:
        await self._calls.close()
        self._account.close()

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return Place(blob_id, mark).location

    # Published blobs

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        return await self._calls.run(self._store.put, Place(blob_id, mark), data)

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
        shares = [share for n in range(DELETING) if (share := places[n::DELETING])]
        deleting = (self._calls.run(self._store.delete, share) for share in shares)
        for outcome in await asyncio.gather(*deleting, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._calls.iterate(self._store.blobs(kind))

    # Resumable uploads

    async def begin_upload(self, blob_id: str) -> Handle:
        return await self._calls.run(self._store.begin, blob_id)

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        held = [buffer async for buffer in data]
        return await self._calls.run(self._store.put_part, handle, number, offset, held)

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        return await self._calls.run(self._store.commit, handle, parts, mark)

    async def abort_upload(self, handle: Handle) -> None:
        await self._calls.run(self._store.abort, handle)

    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return self._calls.iterate(self._store.uploads(older_than))

    # Extensions

    async def blob_url(self, location: str, valid_for: float, method: str = "GET") -> str | None:
        """A temporary URL of the blob's object (`Redirects`)."""
        name = self._store.object_name(location)
        return self._urls.url(name, valid_for, method) if name else None

    async def describe(self) -> str | None:
        """What of somebody else's lies in the container (`ForeignData`)."""
        return "a distribution tree" if await self._calls.run(self._store.foreign_tree) else None

    def _open(self) -> None:
        self._account.open()
        cluster = self._account.cluster()
        self._check(cluster)
        self._store = SwiftStore(self._account, self._config, cluster)
        self._store.open()
        self._urls = TemporaryUrls(self._account, self._config, cluster)
        self._urls.open()

    def _check(self, cluster: Cluster) -> None:
        if not cluster.has_slo:
            raise DriverError(
                f"{self._account.url} has no static large objects: ask its operator to enable the "
                "middleware slo"
            )
        most = cluster.max_segments
        if most is not None and most < self._config.maxsegments:
            raise DriverError(
                f"storage.swift.maxsegments: {self._account.url} takes {most} segments in one "
                f"object, not {self._config.maxsegments}: set it to {most}"
            )
