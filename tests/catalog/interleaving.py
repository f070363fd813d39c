"""Two transactions, interleaved by hand."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, make_url, text

from registry_storage.catalog import Catalog

Operation = Callable[[Connection], Any]
SECONDS = 30

_BLOCKED = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
)


def call(operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Operation:
    """`operation` with all its arguments but the connection."""
    return lambda tx: operation(tx, *args, **kwargs)


@asynccontextmanager
async def held_open(catalog: Catalog, operation: Operation) -> AsyncIterator[asyncio.Task[Any]]:
    """Run an operation, and commit its transaction only when the context is left."""
    ran, go_on = threading.Event(), threading.Event()

    def run_and_wait(tx: Connection) -> Any:
        result = operation(tx)
        ran.set()
        go_on.wait(SECONDS)
        return result

    task = asyncio.create_task(catalog.write(run_and_wait))
    assert await asyncio.to_thread(ran.wait, SECONDS)
    try:
        yield task
    finally:
        go_on.set()
        await task


async def one_waits(
    catalog: Catalog, first: Operation, other: Catalog, second: Operation
) -> tuple[asyncio.Task[Any], asyncio.Task[Any]]:
    """Begin `second` while the transaction of `first` is open, and fail if it need not wait for it.

    Both are over when this returns; await them to learn how.
    """
    async with held_open(catalog, first) as begun:
        waiting = asyncio.create_task(other.write(second))
        await somebody_waits(catalog, waiting)
    await asyncio.wait([waiting])
    return begun, waiting


async def somebody_waits(catalog: Catalog, task: asyncio.Task[Any]) -> None:
    """Return once a transaction waits for another; fail if `task` ends without."""
    async with asyncio.timeout(SECONDS):
        while not await _somebody_waits(catalog):
            assert not task.done(), f"it did not wait: {task}"
            await asyncio.sleep(0.01)


async def _somebody_waits(catalog: Catalog) -> bool:
    if catalog.dialect == "sqlite":
        return _somebody_waits_for_lock(Path(make_url(catalog.url).database or ""))
    return bool(await catalog.read(lambda tx: tx.scalar(_BLOCKED)))


def _somebody_waits_for_lock(database: Path) -> bool:
    """Linux lists who waits for a file's lock: `1: -> FLOCK ADVISORY WRITE 7 fe:00:INODE …`."""
    inode = f":{os.stat(database.with_suffix('.lock')).st_ino} "
    return any(
        "->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()
    )
