"""The writer: one thread that commits in groups, fairly among processes.

SQLite lets one connection write at a time and makes the others poll, which starves some of them.
So every writer first waits for a file lock, which the kernel hands out, and then folds the
operations that wait in its process into one transaction: one fsync for all of them.  Each runs in a
savepoint of its own, and is answered after the common commit.

What nobody would miss need not wait for the disk: a transaction that begins with such an operation
takes in only such, and is not flushed.  The next one that is flushed takes it along, for they lie
in one log; a crash of the process loses neither.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from registry_storage.databases.failures import translate

T = TypeVar("T")

GROUP_SIZE = 64
"""Operations that one transaction holds at most."""
GROUP_SECONDS = 0.05
"""After so long in a transaction no more operations join it: other processes wait."""


class WritersLock:
    """The lock that a process holds while it writes to the database or checkpoints it.

    Each object excludes all others, in this process too.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Free the file."""
        os.close(self._file)


class _Write:
    """An operation that waits for its turn, and then for its answer."""

    __slots__ = ("_call", "_error", "_future", "_result", "durable", "loop")

    def __init__(
        self, call: Callable[[Connection], Any], future: asyncio.Future[Any], *, durable: bool
    ) -> None:
        self.durable = durable
        self._call = call
        self._future = future
        self._result: Any = None
        self._error: BaseException | None = None
        self.loop = future.get_loop()

    def run(self, connection: Connection) -> None:
        """Run in a savepoint, and undo that alone if the operation raises.

        Raises what SQLite answered with a rollback of the whole transaction, as on a full disk.
        Does nothing for a caller that has gone before its turn came.
        """
        if self._future.cancelled():
            return
        database: Any = connection.connection.dbapi_connection
        database.execute("SAVEPOINT operation")
        try:
            self._result = self._call(connection)
        except Exception as error:
            if not database.in_transaction:
                raise
            database.execute("ROLLBACK TO operation")
            self.fail(error)
        database.execute("RELEASE operation")

    def fail(self, error: BaseException) -> None:
        """Answer with `error`, whatever came of it before."""
        self._error = translate(error)
        if self._error is not error:
            self._error.__cause__ = error

    def answer(self) -> None:
        """Let the caller go on; called in its loop."""
        if self._future.done():
            return
        if self._error is not None:
            self._future.set_exception(self._error)
        else:
            self._future.set_result(self._result)


class GroupWriter:
    """Runs operations in the order in which they come, and answers once they are committed."""

    def __init__(self, engine: Engine, lock: WritersLock) -> None:
        self._engine = engine
        self._lock = lock
        self._connection: Connection | None = None
        self._flushes = True
        self._waiting: SimpleQueue[_Write | None] = SimpleQueue()
        self._postponed: list[_Write] = []
        self._thread = threading.Thread(target=self._work, name="database-writer", daemon=True)
        self._thread.start()

    async def write(self, call: Callable[[Connection], T], *, durable: bool = True) -> T:
        """The result of `call`, committed; and durable, unless that need not be."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put(_Write(call, future, durable=durable))
        return await future

    def close(self) -> None:
        """Finish what waits, then end; blocks meanwhile.  Nothing is written afterwards."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._next()) is not None:
            group = [first]
            try:
                with self._lock:
                    self._commit(group)
            except BaseException as error:
                # Whatever it is, the thread goes on: without it, everybody would wait for ever.
                for write in group:
                    write.fail(error)
            _answer(group)
        with self._lock:
            self._disconnect()

    def _next(self) -> _Write | None:
        return self._postponed.pop() if self._postponed else self._waiting.get()

    def _commit(self, group: list[_Write]) -> None:
        """Run the first of `group`, and whatever else waits, in one transaction.

        If that fails, the connection is given up with whatever state it is in.
        """
        try:
            connection = self._connect(durable=group[0].durable)
            with connection.begin():
                group[0].run(connection)
                for write in self._joining():
                    group.append(write)
                    write.run(connection)
        except BaseException:
            self._disconnect()
            raise

    def _joining(self) -> Iterator[_Write]:
        """What waits now and while the transaction runs, within its bounds."""
        deadline = time.monotonic() + GROUP_SECONDS
        for _ in range(GROUP_SIZE - 1):
            try:
                write = self._waiting.get_nowait()
            except Empty:
                return
            if write is None:
                self._waiting.put(None)
                return
            if write.durable and not self._flushes:
                self._postponed.append(write)
                return
            yield write
            if time.monotonic() > deadline:
                return

    def _connect(self, *, durable: bool) -> Connection:
        """The connection, outside a transaction, whose commits are flushed as is asked."""
        if self._connection is None:
            self._connection, self._flushes = self._engine.connect(), True
        if self._flushes is not durable:
            database: Any = self._connection.connection.dbapi_connection
            database.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._flushes = durable
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _answer(group: list[_Write]) -> None:
    """Answer all, with one wake-up for each loop."""
    of_loop: defaultdict[asyncio.AbstractEventLoop, list[_Write]] = defaultdict(list)
    for write in group:
        of_loop[write.loop].append(write)
    for loop, writes in of_loop.items():
        # A loop that is closed has nobody left to answer.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_answer_in_loop, writes)


def _answer_in_loop(writes: list[_Write]) -> None:
    for write in writes:
        write.answer()
