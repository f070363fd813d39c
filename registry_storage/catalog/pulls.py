"""What every pull asks: may this repository serve that, and where is it; and every chunk of a push:
where does its upload stand.

On SQLite the question is asked on the loop's own thread, of a prepared statement: it takes a few
microseconds, where a hop to another thread alone takes thirty.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Select
from sqlalchemy.dialects import sqlite

from registry_storage.catalog import blobs, manifests, repositories, uploads
from registry_storage.catalog.blobs import BlobRow
from registry_storage.catalog.manifests import ManifestRow
from registry_storage.catalog.protocols import fresh
from registry_storage.catalog.uploads import Session
from registry_storage.databases.failures import RAISED, translate
from registry_storage.databases.fork import refuse_after_fork
from registry_storage.values import Visibility

T = TypeVar("T")


class PullReader(Protocol):
    """The reads that nearly every request begins with; none of them writes."""

    async def blob(self, repository: str, digest: str) -> BlobRow | None:
        """The blob, if the repository holds it."""

    async def manifest(self, repository: str, reference: str) -> ManifestRow | None:
        """The manifest of a tag or a digest, if the repository lists it."""

    async def payload(self, digest: str) -> bytes | None:
        """The bytes of a manifest that some repository lists."""

    async def visibility(self, repository: str) -> Visibility | None:
        """Who may pull from the repository, if there is one of that name."""

    async def kept_blob(
        self, repository: str, digest: str, lease: int
    ) -> tuple[BlobRow, bool] | None:
        """As `blob`, and whether a promise of `lease` milliseconds needs no renewal."""

    async def kept_manifest(
        self, repository: str, reference: str, lease: int
    ) -> tuple[ManifestRow, bool] | None:
        """As `manifest`, and whether a promise of `lease` milliseconds needs no renewal."""

    async def session(self, repository: str, upload_id: str, subject: str) -> Session:
        """The upload session, as `uploads.load` finds it."""


class PooledPulls:
    """Asks through a pool of connections: one query, without a transaction around it."""

    def __init__(self, ask: Callable[[Callable[[Connection], Any]], Awaitable[Any]]) -> None:
        self._ask = ask
        self._process = os.getpid()

    async def blob(self, repository: str, digest: str) -> BlobRow | None:
        return await self._run(blobs.find, repository, digest)

    async def manifest(self, repository: str, reference: str) -> ManifestRow | None:
        return await self._run(manifests.find, repository, reference)

    async def payload(self, digest: str) -> bytes | None:
        return await self._run(manifests.payload, digest)

    async def visibility(self, repository: str) -> Visibility | None:
        return await self._run(repositories.visibility, repository)

    async def kept_blob(
        self, repository: str, digest: str, lease: int
    ) -> tuple[BlobRow, bool] | None:
        return await self._run(blobs.find_kept, repository, digest, lease)

    async def kept_manifest(
        self, repository: str, reference: str, lease: int
    ) -> tuple[ManifestRow, bool] | None:
        return await self._run(manifests.find_kept, repository, reference, lease)

    async def session(self, repository: str, upload_id: str, subject: str) -> Session:
        return await self._run(uploads.load, repository, upload_id, subject)

    async def _run(self, operation: Callable[..., T], *args: object) -> T:
        refuse_after_fork(self._process)
        found: T = await self._ask(partial(_call, operation, args))
        return found


def _call(operation: Callable[..., T], args: tuple[object, ...], tx: Connection) -> T:
    return operation(tx, *args)


def _prepared(statement: Select[Any]) -> str:
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))


_BLOB = _prepared(blobs.FIND)
_KEPT_BLOB = _prepared(blobs.FIND_KEPT)
_BY_DIGEST = _prepared(manifests.FIND_BY_DIGEST)
_BY_TAG = _prepared(manifests.FIND_BY_TAG)
_KEPT_BY_DIGEST = _prepared(manifests.FIND_KEPT_BY_DIGEST)
_KEPT_BY_TAG = _prepared(manifests.FIND_KEPT_BY_TAG)
_PAYLOAD = _prepared(manifests.PAYLOAD)
_VISIBILITY = _prepared(repositories.VISIBILITY)
_SESSION = _prepared(uploads.SESSION)


class SqlitePulls:
    """Asks in the thread of the caller, over a connection of its own that only reads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._process = os.getpid()

    async def blob(self, repository: str, digest: str) -> BlobRow | None:
        row = self._ask(_BLOB, {"repository": repository, "digest": digest})
        return BlobRow._make(row) if row else None

    async def manifest(self, repository: str, reference: str) -> ManifestRow | None:
        statement = _BY_DIGEST if ":" in reference else _BY_TAG
        row = self._ask(statement, {"repository": repository, "reference": reference})
        return ManifestRow._make(row) if row else None

    async def payload(self, digest: str) -> bytes | None:
        row = self._ask(_PAYLOAD, {"digest": digest})
        return row[0] if row else None

    async def visibility(self, repository: str) -> Visibility | None:
        row = self._ask(_VISIBILITY, {"name": repository})
        return Visibility(row[0]) if row else None

    async def kept_blob(
        self, repository: str, digest: str, lease: int
    ) -> tuple[BlobRow, bool] | None:
        given = {"repository": repository, "digest": digest, "fresh": fresh(lease)}
        row = self._ask(_KEPT_BLOB, given)
        return (BlobRow._make(row[:-1]), bool(row[-1])) if row else None

    async def kept_manifest(
        self, repository: str, reference: str, lease: int
    ) -> tuple[ManifestRow, bool] | None:
        statement = _KEPT_BY_DIGEST if ":" in reference else _KEPT_BY_TAG
        given = {"repository": repository, "reference": reference, "fresh": fresh(lease)}
        row = self._ask(statement, given)
        return (ManifestRow._make(row[:-1]), bool(row[-1])) if row else None

    async def session(self, repository: str, upload_id: str, subject: str) -> Session:
        given = {"repository": repository, "upload_id": upload_id, "subject": subject}
        return uploads.as_session(self._ask(_SESSION, given), upload_id)

    def _ask(self, statement: str, given: dict[str, Any]) -> tuple[Any, ...] | None:
        """One row.  The cursor is dropped at once: an open one would hold checkpoints up."""
        refuse_after_fork(self._process)
        try:
            row: tuple[Any, ...] | None = self._connection.execute(statement, given).fetchone()
        except RAISED as error:
            raise translate(error) from error
        return row
