"""The embedded database: one file, used by the processes of one host.

Beside `NAME.sqlite` lie `NAME.lock`, which writers hold (see `sqlite_writer`), and `NAME.host`,
which keeps other hosts out.  No commit checkpoints the write-ahead log: before SQLite 3.51.3, two
connections that write and checkpoint at once can damage it.  `checkpoint` takes the writers' lock.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine, NullPool, Pool, QueuePool, create_engine

from registry_storage.databases.failures import translated
from registry_storage.databases.host_guard import HostGuard, refuse_network_file_system
from registry_storage.databases.migrating import migrate
from registry_storage.databases.schema import Schema
from registry_storage.databases.sqlite_writer import GroupWriter, WritersLock
from registry_storage.errors import CatalogError

T = TypeVar("T")

OLDEST_VERSION = (3, 35, 0)
"""The first with RETURNING."""
READERS = 4
BUSY_SECONDS = 5.0
"""How long to wait for other programs that hold the database's own lock, such as SQLite's shell."""
BUSY_SECONDS_IN_LOOP = 0.2
"""… on the loop's own thread, where everything else waits too."""
LARGE_LOG = 16 * 1024 * 1024
"""Bytes of write-ahead log from which on a checkpoint waits for readers, to begin the file anew."""
LARGE_LOG_SECONDS = 0.1
"""… and for how long; writers wait meanwhile."""


class SqliteDatabase:
    """A database file, open."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path, schema: Schema) -> None:
        """Make the file if there is none, and migrate it; blocks meanwhile.

        Raises `ConfigurationInvalid` on a network file system, `CatalogError`, `NoSpace`.
        """
        self._path = path
        self._schema = schema
        with ExitStack() as resources, translated(), _explained(path, schema):
            _check_version()
            path.parent.mkdir(parents=True, exist_ok=True)
            refuse_network_file_system(path.parent, schema.setting)
            resources.callback(HostGuard(path.with_suffix(".host")).release)
            self._lock = _lock(resources, path)
            self._prepare()
            self._open(resources)
            self._resources = resources.pop_all()

    def _prepare(self) -> None:
        with self._lock:
            _make_private_file(self._path)
            with closing(_connect(self._path, busy_seconds=BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            migrator = _engine(self._path, NullPool, begin="BEGIN IMMEDIATE", foreign_keys=False)
            with migrator.begin() as tx:
                migrate(tx, self._schema)

    def _open(self, resources: ExitStack) -> None:
        writer = _engine(self._path, NullPool, begin="BEGIN IMMEDIATE")
        self._writer = GroupWriter(writer, _lock(resources, self._path))
        resources.callback(self._writer.close)
        self._readers = _engine(self._path, QueuePool, begin="BEGIN", read_only=True)
        self.in_loop = _connect(self._path, read_only=True, busy_seconds=BUSY_SECONDS_IN_LOOP)
        resources.callback(self._close_readers)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="database-reader")
        resources.callback(self._threads.shutdown)

    def _close_readers(self) -> None:
        # A connection that is the last to close checkpoints, too.
        with self._lock:
            self.in_loop.close()
            self._readers.dispose()

    async def write(self, call: Callable[[Connection], T], *, durable: bool = True) -> T:
        """The result of `call`, committed; and durable, unless that need not be."""
        return await self._writer.write(call, durable=durable)

    async def read(self, call: Callable[[Connection], T]) -> T:
        """The result of `call`, which sees one state of the database."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, call)

    def _read(self, call: Callable[[Connection], T]) -> T:
        with translated(), self._readers.begin() as tx:
            return call(tx)

    async def checkpoint(self) -> None:
        """Copy the write-ahead log into the file, as far as readers allow."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._checkpoint)

    def _checkpoint(self) -> None:
        log = Path(f"{self._path}-wal")
        with (
            translated(),
            self._lock,
            closing(_connect(self._path, busy_seconds=LARGE_LOG_SECONDS)) as connection,
        ):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if log.stat().st_size > LARGE_LOG:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    async def close(self) -> None:
        """Finish what waits, and free everything."""
        with translated():
            await asyncio.get_running_loop().run_in_executor(None, self._resources.close)


def _check_version() -> None:
    if sqlite3.sqlite_version_info < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise CatalogError(
            f"Python's SQLite is {sqlite3.sqlite_version}, and {oldest} or "
            "newer is needed or "
            "newer: use a Python that has it, or PostgreSQL"
        )


@contextmanager
def _explained(path: Path, schema: Schema) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CatalogError(f"the {schema.name} {path} cannot be opened: {error}") from error


def _lock(resources: ExitStack, path: Path) -> WritersLock:
    lock = WritersLock(path.with_suffix(".lock"))
    resources.callback(lock.close)
    return lock


def _make_private_file(path: Path) -> None:
    """An empty file is an empty database; the files beside it get the same mode.

    One that is there is not even opened: closing it would take away the locks that SQLite holds on
    it for this process (POSIX), and then another process deletes the log that this one writes to.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _connect(
    path: Path,
    *,
    busy_seconds: float,
    read_only: bool = False,
    foreign_keys: bool = True,
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=0").fetchall()
    connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
    return connection


def _begin(statement: str, connection: Any) -> None:
    connection.execute(statement)


def _engine(
    path: Path,
    pool: type[Pool],
    *,
    begin: str,
    read_only: bool = False,
    foreign_keys: bool = True,
) -> Engine:
    """An engine whose transactions begin when they say so, with `begin`."""
    sizes = {"pool_size": READERS, "max_overflow": 0} if pool is QueuePool else {}
    connect = partial(
        _connect,
        path,
        busy_seconds=BUSY_SECONDS,
        read_only=read_only,
        foreign_keys=foreign_keys,
    )
    engine = create_engine("sqlite://", creator=connect, poolclass=pool, **sizes)
    # A listener to "begin" would have every statement look for listeners: a tenth of its cost.
    engine.dialect.do_begin = partial(_begin, begin)  # type: ignore[method-assign]
    return engine
