"""The driver: the contract of `registry_storage.drivers.api` over one file."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from registry_storage.drivers.api import (
    BlobKind,
    Buffers,
    Driver,
    Handle,
    Mark,
    Part,
    PartData,
    PartLimits,
    StoredBlob,
)
from registry_storage.errors import RangeNotSatisfiable
from registry_storage_sqlite import statements
from registry_storage_sqlite.tables import Tables

P = ParamSpec("P")
R = TypeVar("R")


class SqliteDriver(Driver):
    """A blob's location is its id: marking sets two columns, nothing moves."""

    name = "sqlite"
    limits = PartLimits()

    def __init__(self, path: Path) -> None:
        self._tables = Tables(path)

    async def start(self) -> None:
        await self._run(self._tables.create)

    async def close(self) -> None:
        """Nothing to free: connections do not outlive their operation."""

    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return blob_id

    # Published blobs

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        joined = b"".join(data)
        return await self._change(statements.put, blob_id, joined, mark)

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        return await self._change(statements.mark, location, mark)

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        size = (await self.stat_blob(location)).size
        if start > size:
            raise RangeNotSatisfiable(f"{location} has {size} bytes, not {start}", size=size)
        yield self._pieces(location, start, size if stop is None else min(stop, size))

    async def _pieces(self, location: str, position: int, stop: int) -> AsyncIterator[bytes]:
        while position < stop:
            piece = await self._look(statements.piece, location, position)
            yield piece[: stop - position]
            position += len(piece)

    async def stat_blob(self, location: str) -> StoredBlob:
        return await self._look(statements.found, location)

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        await self._change(statements.delete, locations)

    async def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        last = ""
        while page := await self._look(statements.page, kind, last):
            for blob in page:
                yield blob
            last = page[-1].location

    # Resumable uploads

    async def begin_upload(self, blob_id: str) -> Handle:
        handle = f"{blob_id}.{secrets.token_hex(8)}"
        await self._change(statements.begin, handle, time.time())
        return handle

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        received = b"".join([bytes(piece) async for piece in data])
        token = secrets.token_hex(16)
        await self._change(statements.add_part, handle, token, received)
        return Part(number, offset, len(received), token)

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        return await self._change(statements.commit, handle, parts, mark)

    async def abort_upload(self, handle: Handle) -> None:
        await self._change(statements.forget, handle)

    async def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        begun_before = older_than.timestamp()
        for handle in await self._look(statements.uploads, begun_before):
            yield handle

    # Threads

    async def _change(
        self, statement: Callable[Concatenate[statements.Db, P], R], *args: P.args, **kw: P.kwargs
    ) -> R:
        return await self._run(lambda: self._tables.change(lambda db: statement(db, *args, **kw)))

    async def _look(
        self, statement: Callable[Concatenate[statements.Db, P], R], *args: P.args, **kw: P.kwargs
    ) -> R:
        return await self._run(lambda: self._tables.look(lambda db: statement(db, *args, **kw)))

    async def _run(self, call: Callable[[], R]) -> R:
        """On a thread; a cancelled caller waits, so that nothing happens behind its back."""
        running = asyncio.ensure_future(asyncio.to_thread(call))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise
