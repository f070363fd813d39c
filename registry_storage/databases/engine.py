"""A database, open: runs operations as transactions of one of two kinds of database.

An operation is a plain function whose first parameter is a connection; it is one transaction and
one hop to another thread, however many statements it has.
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

from registry_storage.databases.fork import refuse_after_fork
from registry_storage.databases.postgresql import PostgresqlDatabase
from registry_storage.databases.schema import Schema
from registry_storage.databases.sqlite import SqliteDatabase
from registry_storage.errors import CatalogError, ConfigurationInvalid

P = ParamSpec("P")
T = TypeVar("T")


class Backend(Protocol):
    """What is asked of a database."""

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]: ...

    async def write(self, call: Callable[[Connection], T], *, durable: bool = True) -> T: ...

    async def read(self, call: Callable[[Connection], T]) -> T: ...

    async def checkpoint(self) -> None: ...

    async def close(self) -> None: ...


class Database:
    """A database, open, for the process that opened it: each worker opens its own after a fork."""

    def __init__(self, url: str, backend: Backend) -> None:
        self.url: Final = url
        self.dialect: Final = backend.dialect
        self._backend = backend
        self._process = os.getpid()
        self._closed = False

    @classmethod
    async def open_with(cls, url: str, schema: Schema) -> Database:
        """Open the database of an SQLAlchemy URL, and bring its schema up to date.

        `sqlite:////absolute/path` is made if there is none; `postgresql://user@host/database` may
        end in `?pool_size=8`, the connections of this process.  Raises `ConfigurationInvalid`,
        `CatalogError`, `CatalogUnavailable`, `NoSpace`.
        """
        return cls(url, await open_backend(url, schema))

    async def write(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `operation` returns, once its transaction is committed and durable.

        It may run more than once, where others made the transaction fail.  What it raises undoes
        the transaction and comes back; where the database fails, `CatalogUnavailable`,
        `CatalogError` or `NoSpace`, and nothing was acknowledged.
        """
        self._check_open()
        return await self._backend.write(lambda tx: operation(tx, *args, **kwargs))

    async def write_unflushed(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write`, but a power failure may still undo it: for what nobody would miss then."""
        self._check_open()
        return await self._backend.write(lambda tx: operation(tx, *args, **kwargs), durable=False)

    async def read(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `operation`, which only reads, returns.  Raises as `write`."""
        self._check_open()
        return await self._backend.read(lambda tx: operation(tx, *args, **kwargs))

    async def checkpoint(self) -> None:
        """Let SQLite copy its write-ahead log into the database; on PostgreSQL nothing."""
        await self._backend.checkpoint()

    async def close(self) -> None:
        """Finish what is under way, and free everything."""
        refuse_after_fork(self._process)
        self._closed = True
        await self._backend.close()

    def _check_open(self) -> None:
        refuse_after_fork(self._process)
        if self._closed:
            raise CatalogError("the database is closed")


async def open_backend(url: str, schema: Schema) -> SqliteDatabase | PostgresqlDatabase:
    """Open and migrate, in another thread.  Raises as `Database.open_with`."""
    opening = partial(_open, _parse(url, schema), schema)
    return await asyncio.get_running_loop().run_in_executor(None, opening)


def _parse(url: str, schema: Schema) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise ConfigurationInvalid(
            f"{schema.setting}: not an SQLAlchemy URL: use sqlite:////absolute/path or "
            "postgresql://user:password@host/database"
        ) from None


def _open(url: URL, schema: Schema) -> SqliteDatabase | PostgresqlDatabase:
    match url.get_backend_name():
        case "sqlite":
            return SqliteDatabase(_file(url, schema), schema)
        case "postgresql" | "postgres":
            return PostgresqlDatabase(url, schema)
    raise ConfigurationInvalid(
        f"{schema.setting}: {url.drivername} is not supported: use sqlite or postgresql"
    )


def _file(url: URL, schema: Schema) -> Path:
    """The file of a SQLite URL, by its one real path: the lock beside it must be everybody's."""
    name = schema.setting
    if not url.database or url.database == ":memory:":
        raise ConfigurationInvalid(f"{name}: name a file, as in sqlite:////absolute/path")
    if url.query:
        raise ConfigurationInvalid(f"{name}: for sqlite, nothing follows the path of the file")
    return Path(url.database).resolve()
