"""PostgreSQL: deadlocks, restarts and limits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, text

from registry_storage.catalog import Catalog, repositories
from registry_storage.databases import postgresql
from registry_storage.errors import CatalogUnavailable, NoSpace
from tests.catalog.interleaving import call, held_open
from tests.catalog.samples import REPOSITORY, digest, push_blob


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Catalog]:
    catalog = await Catalog.open(f"{postgres_url}?pool_size=3")
    yield catalog
    await catalog.close()


def _disconnect_everybody(tx: Connection) -> None:
    """What a restart of the server does to its clients."""
    tx.execute(
        text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


async def test_connections_that_died_while_idle_are_replaced(postgres: Catalog) -> None:
    await asyncio.gather(*(postgres.read(call(_sleep, 0.1)) for _ in range(3)))
    other = await Catalog.open(postgres.url)
    await other.write(_disconnect_everybody)
    await push_blob(postgres, "layer")
    assert await postgres.pulls.blob(REPOSITORY, digest("layer")) is not None
    await other.close()


def _sleep(tx: Connection, seconds: float) -> None:
    tx.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})


async def test_a_transaction_whose_connection_dies_is_tried_again(postgres: Catalog) -> None:
    tries = itertools.count(1)

    def die_at_first(tx: Connection) -> int:
        number = next(tries)
        if number == 1:
            tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return number

    assert await postgres.write(die_at_first) == 2


async def test_of_two_in_a_deadlock_both_succeed_in_the_end(postgres: Catalog) -> None:
    for name in "ab":
        row = f"INSERT INTO leases (name, holder, until) VALUES ('{name}', '', 0)"
        await postgres.write(call(_execute, row))
    met = asyncio.Event()
    loop = asyncio.get_running_loop()
    tries = itertools.count()

    def lock_both(tx: Connection, first: str, second: str) -> None:
        next(tries)
        lock = "SELECT 1 FROM leases WHERE name = '{}' FOR UPDATE"
        _execute(tx, "SET LOCAL deadlock_timeout = '50ms'")
        _execute(tx, lock.format(first))
        asyncio.run_coroutine_threadsafe(_both_here(met), loop).result(10)
        _execute(tx, lock.format(second))

    here = 0

    async def _both_here(event: asyncio.Event) -> None:
        nonlocal here
        here += 1
        if here == 2:
            event.set()
        await event.wait()

    await asyncio.gather(
        postgres.write(lock_both, "a", "b"),
        postgres.write(lock_both, "b", "a"),
    )
    assert next(tries) == 3


def _execute(tx: Connection, statement: str) -> None:
    tx.execute(text(statement))


async def test_a_commit_whose_answer_is_lost_is_not_tried_again(postgres: Catalog) -> None:
    tries = itertools.count()

    def fail_at_commit(tx: Connection) -> None:
        next(tries)
        _execute(tx, "CREATE TEMPORARY TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        _execute(tx, "INSERT INTO late VALUES (1), (1)")

    with pytest.raises(Exception, match="duplicate key"):
        await postgres.write(fail_at_commit)
    assert next(tries) == 1


@pytest.mark.parametrize(
    ("state", "expected"),
    [("53100", NoSpace), ("57014", CatalogUnavailable), ("25006", CatalogUnavailable)],
)
async def test_states_of_the_server_are_told_apart(
    postgres: Catalog, state: str, expected: type[Exception]
) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'it said so' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(expected, match="it said so"):
        await postgres.write(call(_execute, raising))


async def test_the_connections_of_a_process_are_as_many_as_the_url_says(postgres: Catalog) -> None:
    await asyncio.gather(*(postgres.read(call(_sleep, 0.05)) for _ in range(9)))
    used = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    assert await postgres.read(lambda tx: tx.scalar(used)) == 3


async def test_a_statement_ends_and_so_does_an_idle_transaction(postgres: Catalog) -> None:
    shown = await postgres.read(
        lambda tx: [
            tx.scalar(text(f"SHOW {name}"))
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        ]
    )
    assert shown == ["30s", "1min"]


async def test_a_read_pays_for_no_transaction(postgres: Catalog) -> None:
    """The second statement of a transaction begins later than the transaction did."""

    def begins(tx: Connection) -> bool | None:
        tx.execute(text("SELECT pg_sleep(0.001)"))
        return tx.scalar(text("SELECT now() = statement_timestamp()"))

    assert await postgres.read(begins)
    assert not await postgres.write(begins)


async def test_only_what_may_be_lost_is_not_flushed(postgres: Catalog) -> None:
    def shown(tx: Connection) -> str | None:
        return tx.scalar(text("SHOW synchronous_commit"))

    assert await postgres.write_unflushed(shown) == "off"
    assert await postgres.write(shown) == "on"


async def test_a_server_that_says_nothing_is_not_waited_for(
    postgres: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.05)
    with pytest.raises(CatalogUnavailable, match="does not answer"):
        await postgres.read(call(_sleep, 0.5))


async def test_links_and_pulls_go_on_while_a_manifest_is_pushed(postgres: Catalog) -> None:
    async with held_open(postgres, call(repositories.lock_or_make, REPOSITORY)):
        await push_blob(postgres, "layer", "team/other")
        assert await postgres.pulls.blob(REPOSITORY, digest("layer")) is None
    await push_blob(postgres, "layer")
    async with held_open(postgres, call(repositories.lock, REPOSITORY)):
        await push_blob(postgres, "another")
