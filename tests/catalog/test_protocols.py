"""What keeps concurrent transactions from losing content.

Each promise has a test of the real operations on every database, where the second of two waits for
the first, and beside it, on PostgreSQL, one of the plain SQL that one would write without thinking,
where the fault occurs.  (SQLite has one writer at a time, so there it cannot.)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import IntegrityError

from registry_storage.catalog import Catalog, blobs, events, garbage, manifests, tags
from registry_storage.catalog import tables as t
from registry_storage.catalog.protocols import BLOBS, REPOSITORY_BLOBS
from registry_storage.databases.types import db_now
from registry_storage.errors import ContentInUse, ManifestBlobUnknown
from tests.catalog.interleaving import SECONDS, call, held_open, one_waits, somebody_waits
from tests.catalog.samples import (
    HOUR,
    OTHER,
    REPOSITORY,
    TERMS,
    digest,
    link,
    push,
    push_blob,
    record,
    stamp,
)

LAYER = digest("layer")


@pytest.fixture
async def other(catalog: Catalog) -> AsyncIterator[Catalog]:
    """The same catalog, as another process has it open."""
    opened = await Catalog.open(catalog.url)
    yield opened
    await opened.close()


@pytest.fixture
def parties(postgres_url: str) -> Iterator[tuple[Connection, Connection]]:
    """Two transactions on a PostgreSQL database with a few tables of the naive kind."""
    engine = create_engine(postgres_url, poolclass=NullPool)
    with ExitStack() as resources:
        with engine.begin() as tx:
            tx.execute(text(_NAIVE))
        yield tuple(resources.enter_context(engine.connect()) for _ in range(2))  # type: ignore


_NAIVE = """
CREATE TABLE blob (name text PRIMARY KEY, stamped bool NOT NULL DEFAULT false);
CREATE TABLE lease (name text PRIMARY KEY);
CREATE TABLE reference (manifest text, blob text REFERENCES blob, PRIMARY KEY (manifest, blob));
CREATE TABLE tag (name text PRIMARY KEY, manifest text NOT NULL);
CREATE TABLE event (id serial PRIMARY KEY);
INSERT INTO blob VALUES ('a'), ('b');
INSERT INTO reference VALUES ('first', 'a'), ('second', 'a');
"""


def run(tx: Connection, *statements: str) -> int:
    """Run statements; return how many rows the last one concerned."""
    for statement in statements:
        result = tx.execute(text(statement))
    return result.rowcount


# A promised blob is not deleted


def collect(tx: Connection) -> bool:
    """What garbage collection does: lock the row, look in a new statement, delete."""
    REPOSITORY_BLOBS.lock(tx, 1, [LAYER])
    held = t.repository_blobs
    unreferenced = held.c.unreferenced_since.isnot(None)
    statement = held.delete().where(unreferenced, held.c.leased_until < db_now())
    return tx.execute(statement).rowcount == 1


async def test_a_blob_that_is_being_promised_is_not_collected(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer", lease=-HOUR)
    promised, collected = await one_waits(
        catalog, call(blobs.promise, REPOSITORY, LAYER, lease=HOUR), other, call(collect)
    )
    assert await promised is not None
    assert not await collected
    assert await catalog.pulls.blob(REPOSITORY, LAYER) is not None


async def test_a_blob_that_is_being_collected_is_not_promised(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer", lease=-HOUR)
    collected, promised = await one_waits(
        catalog, call(collect), other, call(blobs.promise, REPOSITORY, LAYER, lease=HOUR)
    )
    assert await collected
    assert await promised is None


def test_a_lease_in_a_table_of_its_own_loses_a_promised_blob(
    parties: tuple[Connection, Connection],
) -> None:
    collector, client = parties
    assert run(collector, "SELECT 1 FROM blob WHERE name = 'b' FOR UPDATE") == 1
    assert run(collector, "SELECT 1 FROM lease WHERE name = 'b'") == 0
    assert run(client, "INSERT INTO lease SELECT name FROM blob WHERE name = 'b'") == 1
    client.commit()
    assert run(collector, "DELETE FROM blob WHERE name = 'b'") == 1
    collector.commit()
    assert run(client, "SELECT 1 FROM lease WHERE name = 'b'") == 1
    assert run(client, "SELECT 1 FROM blob WHERE name = 'b'") == 0


# Whatever loses its last reference is stamped


async def test_of_two_that_drop_the_last_two_references_the_second_stamps(
    catalog: Catalog, other: Catalog
) -> None:
    first = await push(catalog, "first", [], ["layer"])
    second = await push(catalog, "second", [], ["layer"])
    _, deletion = await one_waits(
        catalog,
        call(manifests.delete, REPOSITORY, first, **TERMS),
        other,
        call(manifests.delete, REPOSITORY, second, **TERMS),
    )
    await deletion
    assert (await stamp(catalog, t.repository_blobs, "layer"))[0]


def test_without_locks_neither_of_two_stamps(parties: tuple[Connection, Connection]) -> None:
    settle = (
        "UPDATE blob SET stamped = true WHERE name = 'a' "
        "AND NOT EXISTS (SELECT 1 FROM reference WHERE blob = 'a')"
    )
    for tx, manifest in zip(parties, ("first", "second"), strict=True):
        run(tx, f"DELETE FROM reference WHERE manifest = '{manifest}'", settle)
    for tx in parties:
        tx.commit()
    assert run(parties[0], "SELECT 1 FROM reference WHERE blob = 'a'") == 0
    assert run(parties[0], "SELECT 1 FROM blob WHERE name = 'a' AND stamped") == 0


# A reference is never made to what is being deleted, nor is what is being referred to deleted


async def test_a_manifest_that_names_a_blob_being_deleted_is_refused(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer")
    image = record("image", ["layer"])
    terms = {"may_move_tags": True, **TERMS}
    _, put = await one_waits(
        catalog,
        call(blobs.delete, REPOSITORY, LAYER, garbage_delay=0),
        other,
        call(manifests.put, REPOSITORY, image, [], **terms),
    )
    with pytest.raises(ManifestBlobUnknown):
        await put


async def test_a_blob_that_a_manifest_is_about_to_name_is_not_deleted(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer")
    image = record("image", ["layer"])
    terms = {"may_move_tags": True, **TERMS}
    _, deletion = await one_waits(
        catalog,
        call(manifests.put, REPOSITORY, image, [], **terms),
        other,
        call(blobs.delete, REPOSITORY, LAYER, garbage_delay=0),
    )
    with pytest.raises(ContentInUse):
        await deletion


# The loser of a race between two uploads of one digest


async def test_a_link_to_a_blob_being_deleted_becomes_a_copy_of_its_own(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer")
    _, linking = await one_waits(
        catalog,
        call(blobs.delete, REPOSITORY, LAYER, garbage_delay=0),
        other,
        call(link, "layer", OTHER, location="own"),
    )
    assert (await linking).location == "own"
    assert await catalog.pulls.blob(OTHER, LAYER) == await linking
    assert await catalog.write(garbage.due, 10) == ["blob-layer"]


async def test_a_mount_of_a_blob_being_deleted_is_none(catalog: Catalog, other: Catalog) -> None:
    await push_blob(catalog, "layer")
    _, mounting = await one_waits(
        catalog,
        call(blobs.delete, REPOSITORY, LAYER, garbage_delay=0),
        other,
        call(blobs.mount, REPOSITORY, OTHER, LAYER, lease=HOUR),
    )
    assert await mounting is None


async def test_a_blob_being_linked_elsewhere_outlives_its_first_repository(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer")
    linking, deletion = await one_waits(
        catalog,
        call(link, "layer", OTHER, location="own"),
        other,
        call(blobs.delete, REPOSITORY, LAYER, garbage_delay=0),
    )
    await deletion
    assert (await linking).location == "blob-layer"
    assert await catalog.pulls.blob(OTHER, LAYER) == await linking
    assert await catalog.write(garbage.due, 10) == []


async def test_of_two_uploads_of_one_digest_the_second_links_to_the_first(
    catalog: Catalog, other: Catalog
) -> None:
    _, linking = await one_waits(
        catalog, call(link, "layer"), other, call(link, "layer", OTHER, location="own")
    )
    assert (await linking).location == "blob-layer"


async def test_of_two_deletions_the_second_takes_the_bytes(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer")
    await push_blob(catalog, "layer", OTHER)
    _, deletion = await one_waits(
        catalog,
        call(blobs.delete, REPOSITORY, LAYER, garbage_delay=0),
        other,
        call(blobs.delete, OTHER, LAYER, garbage_delay=0),
    )
    await deletion
    assert await catalog.write(garbage.due, 10) == ["blob-layer"]


async def test_the_payload_of_a_manifest_being_deleted_is_stored_again(
    catalog: Catalog, other: Catalog
) -> None:
    image = await push(catalog, "image")
    copy = record("image", location="own")
    terms = {"may_move_tags": True, **TERMS}
    _, put = await one_waits(
        catalog,
        call(manifests.delete, REPOSITORY, image, **TERMS),
        other,
        call(manifests.put, OTHER, copy, [], **terms),
    )
    assert await put == "own"
    assert await catalog.pulls.payload(image) == b"image"
    assert await catalog.write(garbage.due, 10) == ["manifest-image"]


async def test_a_winner_that_is_deleted_before_it_is_locked_leaves_room(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = await Catalog.open(postgres_url)
    await push_blob(catalog, "layer")
    lock, met, go_on = BLOBS.lock_against_deletion, threading.Event(), threading.Event()

    def lock_late(tx: Connection, name: str) -> object:
        met.set()
        go_on.wait(SECONDS)
        return lock(tx, name)

    monkeypatch.setattr(BLOBS, "lock_against_deletion", lock_late)
    linking = asyncio.create_task(catalog.write(link, "layer", OTHER, location="own"))
    await asyncio.to_thread(met.wait, SECONDS)
    async with held_open(catalog, call(blobs.delete, REPOSITORY, LAYER, garbage_delay=0)):
        go_on.set()
        await somebody_waits(catalog, linking)
    assert (await linking).location == "own"
    await catalog.close()


def test_a_link_that_does_not_lock_the_winner_fails(
    parties: tuple[Connection, Connection],
) -> None:
    deleter, linker = parties
    assert run(linker, "INSERT INTO blob VALUES ('b') ON CONFLICT DO NOTHING") == 0
    assert run(deleter, "DELETE FROM blob WHERE name = 'b'") == 1
    deleter.commit()
    with pytest.raises(IntegrityError, match="foreign key"):
        run(linker, "INSERT INTO reference VALUES ('image', 'b')")


# Locks are taken in one order


async def test_rows_are_locked_in_the_order_of_digests(catalog: Catalog, other: Catalog) -> None:
    low, high = sorted([digest("one"), digest("two")])
    await push_blob(catalog, "one")
    await push_blob(catalog, "two")
    async with held_open(catalog, call(REPOSITORY_BLOBS.lock, 1, [low])):
        both = asyncio.create_task(other.write(REPOSITORY_BLOBS.lock, 1, [high, low]))
        await somebody_waits(catalog, both)
        if catalog.dialect == "postgresql":
            # The one that waits has not got the higher digest, or this would be a deadlock.
            assert await catalog.write(REPOSITORY_BLOBS.lock, 1, [high]) == {high}
    assert await both == {low, high}


def test_locks_in_any_order_end_in_a_deadlock(parties: tuple[Connection, Connection]) -> None:
    lock = "SELECT 1 FROM blob WHERE name = '{}' FOR UPDATE"
    for tx, name in zip(parties, "ab", strict=True):
        run(tx, "SET deadlock_timeout = '10ms'", lock.format(name))
    with ThreadPoolExecutor() as threads:
        crosswise = [
            threads.submit(_run_and_let_go, tx, lock.format(name))
            for tx, name in zip(parties, "ba", strict=True)
        ]
    failures = [str(one.exception()) for one in crosswise if one.exception()]
    assert len(failures) == 1
    assert "deadlock detected" in failures[0]


def _run_and_let_go(tx: Connection, statement: str) -> None:
    try:
        run(tx, statement)
    finally:
        tx.rollback()


# A tag that two push at once


async def test_of_two_pushes_of_a_new_tag_the_second_moves_it(
    catalog: Catalog, other: Catalog
) -> None:
    first, second = (
        call(manifests.put, REPOSITORY, record(name), ["latest"], may_move_tags=True, **TERMS)
        for name in ("first", "second")
    )
    _, put = await one_waits(catalog, first, other, second)
    await put
    assert (await stamp(catalog, t.manifests, "first"))[0]
    assert not (await stamp(catalog, t.manifests, "second"))[0]
    await catalog.write(events.number)
    told = await catalog.read(events.after, 0, 10)
    replaced = [event.details["replaced"] for event in told if event.kind == events.TAG_SET]
    assert replaced == [None, digest("first")]


def test_without_a_lock_on_the_repository_both_believe_that_the_tag_is_new(
    parties: tuple[Connection, Connection],
) -> None:
    first, second = parties
    look = "SELECT 1 FROM tag WHERE name = 'latest' FOR UPDATE"
    assert run(first, look) == 0
    assert run(second, look) == 0


async def test_untagging_waits_for_the_push_that_moves_the_tag(
    catalog: Catalog, other: Catalog
) -> None:
    await push(catalog, "first", ["latest"])
    terms = {"may_move_tags": True, **TERMS}
    push_second = call(manifests.put, REPOSITORY, record("second"), ["latest"], **terms)
    untag = call(tags.delete, REPOSITORY, "latest", lease=HOUR)
    _, untagging = await one_waits(catalog, push_second, other, untag)
    await untagging
    assert (await stamp(catalog, t.manifests, "second"))[0]


# Events


async def test_an_event_that_is_committed_late_is_not_missed(postgres_url: str) -> None:
    catalog = await Catalog.open(postgres_url)
    async with held_open(catalog, call(events.record, "late", None)):
        await catalog.write(events.record, "early", None)
        assert await catalog.write(events.number) == 1
        assert [e.kind for e in await catalog.read(events.after, 0, 10)] == ["early"]
    assert await catalog.write(events.number) == 1
    assert [e.kind for e in await catalog.read(events.after, 1, 10)] == ["late"]
    await catalog.close()


async def test_on_sqlite_events_are_committed_in_the_order_of_their_ids(
    sqlite_catalog: Catalog,
) -> None:
    other = await Catalog.open(sqlite_catalog.url)
    first, second = (call(events.record, kind, None) for kind in ("first", "second"))
    await one_waits(sqlite_catalog, first, other, second)
    await other.write(events.number)
    assert [e.kind for e in await other.read(events.after, 0, 10)] == ["first", "second"]
    await other.close()


async def test_of_two_sequencers_the_second_numbers_nothing(
    catalog: Catalog, other: Catalog
) -> None:
    await catalog.write(events.record, "some.kind", None)
    first, second = await one_waits(catalog, events.number, other, events.number)
    assert (await first, await second) == (1, 0)


def test_a_cursor_over_ids_misses_what_is_committed_late(
    parties: tuple[Connection, Connection],
) -> None:
    late, early = parties
    run(late, "INSERT INTO event DEFAULT VALUES")
    run(early, "INSERT INTO event DEFAULT VALUES")
    early.commit()
    cursor = early.scalar(text("SELECT max(id) FROM event"))
    late.commit()
    assert run(early, "SELECT 1 FROM event") == 2
    assert run(early, f"SELECT 1 FROM event WHERE id > {cursor}") == 0
