"""Drivers whose store blocks: each operation in one hop to a thread.

What is built on these says only what is its own: limits, extensions, and what it does otherwise.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from registry_storage.drivers import _object_layout
from registry_storage.drivers._blocking import BlockingCalls
from registry_storage.drivers._reading import Reading, pieces_of
from registry_storage.drivers.api import (
    BlobKind,
    Buffers,
    Driver,
    Handle,
    Mark,
    Part,
    PartData,
    StoredBlob,
)
from registry_storage.errors import UploadNotFound


class Placed(Protocol):
    """What a location says."""

    @property
    def blob_id(self) -> str: ...
    @property
    def location(self) -> str: ...


Places = Sequence[_object_layout.Place]
P = TypeVar("P", bound=Placed)
R = TypeVar("R")
Named = TypeVar("Named", bound=Placed, covariant=True)
Taken = TypeVar("Taken", bound=Placed, contravariant=True)


class Layout(Protocol[Named]):
    """A module of names: how a store names places, and what its names say."""

    @property
    def Place(self) -> Callable[[str, Mark | None], Named]:
        """The place of the blob with this id and mark."""

    def parse_location(self, location: str) -> Named:
        """Raises `BlobNotFound` for what is no location."""

    def place_of(self, location: str) -> Named | None:
        """None for what is no location."""


class Store(Protocol[Taken]):
    """A store.  Its methods block, may be called on any thread, and promise what `Driver`'s do."""

    def open(self) -> None: ...
    def close(self) -> None: ...
    def put(self, place: Taken, data: Buffers) -> StoredBlob: ...
    def mark(self, blob_id: str, mark: Mark) -> StoredBlob: ...
    def stat(self, place: Taken) -> StoredBlob: ...
    def walk(self, kind: BlobKind | None) -> Iterator[StoredBlob]: ...
    def begin(self, blob_id: str) -> Handle: ...
    def commit(self, handle: Handle, parts: Sequence[Part], mark: Mark | None) -> StoredBlob: ...
    def abort(self, handle: Handle) -> None: ...
    def uploads(self, older_than: datetime) -> Iterator[Handle]: ...


class ObjectStore(Store[_object_layout.Place], Protocol):
    """A store of objects, which takes each part as a whole."""

    def read(self, place: _object_layout.Place, start: int, stop: int | None) -> Reading: ...
    def put_part(self, handle: Handle, number: int, offset: int, data: Buffers) -> Part: ...


class ThreadedDriver(Driver, Generic[P]):
    """All but reading, parts, and deleting."""

    _store: Store[P]
    """To be there when `_open` has returned."""

    def __init__(self, name: str, threads: int, layout: Layout[P]) -> None:
        self.name = name
        self._threads = threads
        self._layout = layout
        self._calls = BlockingCalls(name, threads)

    async def start(self) -> None:
        self._calls = BlockingCalls(self.name, self._threads)
        await self._calls.run(self._open)

    async def close(self) -> None:
        await self._calls.close()
        await asyncio.to_thread(self._close)

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return self._layout.Place(blob_id, mark).location

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        return await self._calls.run(self._store.put, self._layout.Place(blob_id, mark), data)

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        blob_id = self._layout.parse_location(location).blob_id
        return await self._calls.run(self._store.mark, blob_id, mark)

    async def stat_blob(self, location: str) -> StoredBlob:
        return await self._calls.run(self._store.stat, self._layout.parse_location(location))

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        places = [place for location in locations if (place := self._layout.place_of(location))]
        await self._delete(places)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._calls.iterate(self._store.walk(kind))

    async def begin_upload(self, blob_id: str) -> Handle:
        return await self._calls.run(self._store.begin, blob_id)

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        return await self._calls.run(self._store.commit, handle, parts, mark)

    async def abort_upload(self, handle: Handle) -> None:
        with suppress(UploadNotFound):  # not a handle of ours: nothing to forget
            await self._calls.run(self._store.abort, handle)

    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return self._calls.iterate(self._store.uploads(older_than))

    def _open(self) -> None:
        self._store.open()

    def _close(self) -> None:
        self._store.close()

    @abstractmethod
    async def _delete(self, places: Sequence[P]) -> None:
        """Delete what lies there, if anything."""


class ObjectStoreDriver(ThreadedDriver[_object_layout.Place]):
    """Of a store of objects."""

    _store: ObjectStore

    def __init__(self, name: str, threads: int) -> None:
        super().__init__(name, threads, _object_layout)

    def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        def opened() -> Reading:
            return self._store.read(self._layout.parse_location(location), start, stop)

        return pieces_of(self._calls, opened)

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        held = [buffer async for buffer in data]
        return await self._calls.run(self._store.put_part, handle, number, offset, held)

    async def _in_shares(self, call: Callable[[Places], R], places: Places) -> list[R]:
        """The results of `call` for shares of the places, at the same time.

        Half of the threads are left to others.
        """
        most = max(1, self._threads // 2)
        shares = [share for first in range(most) if (share := places[first::most])]
        running = (self._calls.run(call, share) for share in shares)
        results = []
        for outcome in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            results.append(outcome)
        return results
