"""Counts what a store is asked and how long it takes, in plain integers that an exporter reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
)
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter_ns
from typing import TypeVar

from registry_storage.drivers.api import (
    BlobKind,
    Buffer,
    Buffers,
    Driver,
    Handle,
    Mark,
    Part,
    PartData,
    StoredBlob,
)
from registry_storage.drivers.wrappers.base import InterceptingDriver
from registry_storage.errors import DriverError

R = TypeVar("R")


@dataclass(slots=True)
class Counters:
    """Of one method.  They only grow."""

    calls: int = 0
    errors: int = 0
    """Calls that ended in a `DriverError`."""
    nanoseconds: int = 0
    """Spent waiting for the store; what the reader of a blob does in between is not counted."""
    bytes: int = 0
    """Read or written."""


class MeasuredDriver(InterceptingDriver):
    """Does as `inner` does.  `counters` has an entry for every method that was called."""

    def __init__(self, inner: Driver) -> None:
        super().__init__(inner)
        self.counters: dict[str, Counters] = defaultdict(Counters)

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        blob = await super().put_blob(blob_id, data, mark)
        self.counters["put_blob"].bytes += blob.size
        return blob

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        stream = _Stream(data) if aiter(data) is data else None
        part = await super().put_part(handle, number, offset, stream or data, size)
        counters = self.counters["put_part"]
        counters.bytes += part.size
        counters.nanoseconds -= stream.nanoseconds if stream else 0
        return part

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        async with AsyncExitStack() as stack:
            context = self.inner.read_blob(location, start, stop)
            pieces = await self.intercept("read_blob", lambda: stack.enter_async_context(context))
            yield self._read(pieces)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._list("list_blobs", self.inner.list_blobs(kind))

    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return self._list("list_uploads", self.inner.list_uploads(older_than))

    async def intercept(self, method: str, call: Callable[[], Awaitable[R]]) -> R:
        self.counters[method].calls += 1
        return await self._timed(method, call)

    async def _read(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while (piece := await self._timed("read_blob", lambda: anext(pieces, None))) is not None:
            self.counters["read_blob"].bytes += len(piece)
            yield piece

    async def _list(self, method: str, items: AsyncIterator[R]) -> AsyncIterator[R]:
        self.counters[method].calls += 1
        while (item := await self._timed(method, lambda: anext(items, None))) is not None:
            yield item

    async def _timed(self, method: str, call: Callable[[], Awaitable[R]]) -> R:
        counters = self.counters[method]
        began = perf_counter_ns()
        try:
            return await call()
        except DriverError:
            counters.errors += 1
            raise
        finally:
            counters.nanoseconds += perf_counter_ns() - began


class _Stream:
    """A part's data that comes as a stream, and how long the store has waited for it."""

    def __init__(self, data: PartData) -> None:
        self._data = aiter(data)
        self.nanoseconds = 0

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> Buffer:
        began = perf_counter_ns()
        try:
            return await anext(self._data)
        finally:
            self.nanoseconds += perf_counter_ns() - began
