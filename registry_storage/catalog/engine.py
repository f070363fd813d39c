"""The catalog, open: runs operations as transactions of one of two databases.

An operation is a plain function whose first parameter is a connection; it is one transaction and
one hop to another thread, however many statements it has.  The modules beside this one hold the
operations, a noun each.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

from registry_storage.catalog import blobs, manifests
from registry_storage.catalog.blobs import BlobRow
from registry_storage.catalog.fork import refuse_after_fork
from registry_storage.catalog.manifests import ManifestRow
from registry_storage.catalog.postgresql import PostgresqlDatabase
from registry_storage.catalog.pulls import PullReader
from registry_storage.catalog.sqlite import SqliteDatabase
from registry_storage.errors import CatalogError, ConfigurationInvalid

P = ParamSpec("P")
T = TypeVar("T")


class Database(Protocol):
    """What the catalog asks of a database."""

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]: ...

    @property
    def pulls(self) -> PullReader: ...

    async def write(self, call: Callable[[Connection], T], *, durable: bool = True) -> T: ...

    async def read(self, call: Callable[[Connection], T]) -> T: ...

    async def checkpoint(self) -> None: ...

    async def close(self) -> None: ...


class Catalog:
    """A catalog, open, for the process that opened it: each worker opens its own after a fork."""

    def __init__(self, url: str, database: Database) -> None:
        self.url: Final = url
        self.dialect: Final = database.dialect
        self.pulls: Final = database.pulls
        """The reads that nearly every request begins with, which cost least."""
        self._database = database
        self._process = os.getpid()
        self._closed = False

    @classmethod
    async def open(cls, url: str) -> Catalog:
        """Open the database of an SQLAlchemy URL, and bring its schema up to date.

        `sqlite:////absolute/path` is made if there is none; `postgresql://user@host/database` may
        end in `?pool_size=8`, the connections of this process.  Raises `ConfigurationInvalid`,
        `CatalogError`, `CatalogUnavailable`, `NoSpace`.
        """
        open_database = partial(_open, _parse(url))
        database = await asyncio.get_running_loop().run_in_executor(None, open_database)
        return cls(url, database)

    async def write(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `operation` returns, once its transaction is committed and durable.

        It may run more than once, where others made the transaction fail.  What it raises undoes
        the transaction and comes back; where the database fails, `CatalogUnavailable`,
        `CatalogError` or `NoSpace`, and nothing was acknowledged.
        """
        self._check_open()
        return await self._database.write(lambda tx: operation(tx, *args, **kwargs))

    async def write_unflushed(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write`, but a power failure may still undo it: for what nobody would miss then."""
        self._check_open()
        return await self._database.write(lambda tx: operation(tx, *args, **kwargs), durable=False)

    async def read(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `operation`, which only reads, returns.  Raises as `write`."""
        self._check_open()
        return await self._database.read(lambda tx: operation(tx, *args, **kwargs))

    async def promise_blob(self, repository: str, digest: str, *, lease: int) -> BlobRow | None:
        """As `blobs.promise`; writes only where the lease has to be renewed."""
        found = await self.pulls.kept_blob(repository, digest, lease)
        if found is None or found[1]:
            return found and found[0]
        return await self.write(blobs.promise, repository, digest, lease=lease)

    async def promise_manifest(
        self, repository: str, reference: str, *, lease: int
    ) -> ManifestRow | None:
        """As `manifests.promise`; writes only where the lease has to be renewed."""
        found = await self.pulls.kept_manifest(repository, reference, lease)
        if found is None or found[1]:
            return found and found[0]
        return await self.write(manifests.promise, repository, reference, lease=lease)

    async def checkpoint(self) -> None:
        """Let SQLite copy its write-ahead log into the database; on PostgreSQL nothing."""
        await self._database.checkpoint()

    async def close(self) -> None:
        """Finish what is under way, and free everything."""
        refuse_after_fork(self._process)
        self._closed = True
        await self._database.close()

    def _check_open(self) -> None:
        refuse_after_fork(self._process)
        if self._closed:
            raise CatalogError("the catalog is closed")


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise ConfigurationInvalid(
            "catalog.url: not an SQLAlchemy URL: use sqlite:////absolute/path or "
            "postgresql://user:password@host/database"
        ) from None


def _open(url: URL) -> Database:
    match url.get_backend_name():
        case "sqlite":
            return SqliteDatabase(_file(url))
        case "postgresql" | "postgres":
            return PostgresqlDatabase(url)
    raise ConfigurationInvalid(
        f"catalog.url: {url.drivername} is not supported: use sqlite or postgresql"
    )


def _file(url: URL) -> Path:
    """The file of a SQLite URL, by its one real path: the lock beside it must be everybody's."""
    if not url.database or url.database == ":memory:":
        raise ConfigurationInvalid("catalog.url: name a file, as in sqlite:////absolute/path")
    if url.query:
        raise ConfigurationInvalid("catalog.url: for sqlite, nothing follows the path of the file")
    return Path(url.database).resolve()
