"""PostgreSQL: many hosts, one database."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, text

from registry_storage.databases.failures import sqlstate, translate, translated
from registry_storage.databases.migrating import migrate
from registry_storage.databases.schema import Schema
from registry_storage.errors import CatalogUnavailable, ConfigurationInvalid

T = TypeVar("T")

DRIVER = "postgresql+psycopg"
POOL_SIZE = 8
"""Connections of one process, unless the URL says `?pool_size=`."""
CONNECT_SECONDS = 5
ANSWER_SECONDS = 60.0
"""How long a caller waits for a server that accepts a transaction and then says nothing."""
ATTEMPTS = 5
"""How often a transaction is tried that met a deadlock, or a connection that had died."""
SETTINGS = (
    "SET statement_timeout = '30s'",
    # A process that was stopped in mid-transaction must not hold its locks for ever.
    "SET idle_in_transaction_session_timeout = '60s'",
)
_MIGRATION_LOCK = 0x7265676973747279
"""A number of our own among the database's advisory locks: "registry"."""
_RETRIED = ("40001", "40P01")
"""Serialisation failure, deadlock detected."""


class PostgresqlDatabase:
    """A pool of connections to a database."""

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, url: URL, schema: Schema) -> None:
        """Connect and migrate; blocks meanwhile.  Raises `ConfigurationInvalid`, `CatalogError`."""
        self._schema = schema
        size = _pool_size(url, schema)
        self._engine = _engine(url.difference_update_query(["pool_size"]), size, schema)
        self._asking = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        try:
            with translated():
                self._migrate()
        except BaseException:
            self._engine.dispose()
            raise
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=schema.name)

    def _migrate(self) -> None:
        with self._engine.begin() as tx:
            tx.execute(text("SET LOCAL statement_timeout = 0"))
            tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            migrate(tx, self._schema)

    async def write(self, call: Callable[[Connection], T], *, durable: bool = True) -> T:
        """The result of `call`, committed; tried again where others or the network made it fail.

        The server answers before it has flushed its log if it need not be durable.
        """
        return await self._in_thread(
            _transact, self._engine, call if durable else partial(_unflushed, call)
        )

    async def read(self, call: Callable[[Connection], T]) -> T:
        """As `write`, without a transaction around it, which would be two more round trips.

        Each statement sees what is committed when it begins.
        """
        return await self._in_thread(_transact, self._asking, call)

    async def checkpoint(self) -> None:
        """Nothing: the server does it."""

    async def close(self) -> None:
        """Wait for what is under way, and close all connections."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._threads.shutdown()
        self._engine.dispose()

    async def _in_thread(
        self,
        run: Callable[[Engine, Callable[[Connection], T]], T],
        engine: Engine,
        call: Callable[[Connection], T],
    ) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._threads, run, engine, call)
        try:
            return await asyncio.wait_for(running, ANSWER_SECONDS)
        except TimeoutError:
            raise CatalogUnavailable("the database does not answer") from None


def _unflushed(call: Callable[[Connection], T], tx: Connection) -> T:
    tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
    return call(tx)


def _transact(engine: Engine, call: Callable[[Connection], T]) -> T:
    with translated():
        for attempt in range(1, ATTEMPTS):
            try:
                return _try(engine, call)
            except exc.DBAPIError as error:
                if not (sqlstate(error) in _RETRIED or error.connection_invalidated):
                    raise
            time.sleep(random.uniform(0, 0.01 * 2**attempt))
        return _try(engine, call)


def _try(engine: Engine, call: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        result = call(connection)
        try:
            connection.commit()
        except exc.DBAPIError as error:
            # Nobody knows whether it was committed: it is not tried again.
            raise translate(error) from error
        return result


def _engine(url: URL, size: int, schema: Schema) -> Engine:
    try:
        engine = create_engine(
            url.set(drivername=DRIVER),
            pool_size=size,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            connect_args={"connect_timeout": CONNECT_SECONDS},
        )
    except ModuleNotFoundError as error:
        raise ConfigurationInvalid(
            f"{schema.setting}: PostgreSQL needs a driver package that is not installed: "
            "pip install 'registry-storage[postgresql]'"
        ) from error
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: Any, _record: object) -> None:
    connection.autocommit = True
    for setting in SETTINGS:
        connection.execute(setting)
    connection.autocommit = False


def _pool_size(url: URL, schema: Schema) -> int:
    text = str(url.query.get("pool_size", POOL_SIZE))
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ConfigurationInvalid(f"{schema.setting}: pool_size is {text!r}: give a number above 0")
