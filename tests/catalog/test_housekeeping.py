"""Garbage, events, leases and the store's owner."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, insert

from registry_storage.catalog import (
    Catalog,
    blobs,
    events,
    garbage,
    leases,
    manifests,
    ownership,
    repositories,
    tags,
)
from registry_storage.catalog import tables as t
from registry_storage.catalog.ownership import StoreRow
from tests.catalog.samples import (
    DRIVER,
    HOUR,
    OTHER,
    REPOSITORY,
    TERMS,
    count,
    digest,
    push,
)


async def test_garbage_is_due_when_its_time_has_come(catalog: Catalog) -> None:
    await catalog.write(garbage.add, "later", DRIVER, delay=HOUR)
    await catalog.write(garbage.add, "now", DRIVER, delay=0)
    await catalog.write(garbage.add, "earlier", DRIVER, delay=-1000)
    assert await catalog.write(garbage.due, 10) == ["earlier", "now"]
    assert await catalog.write(garbage.due, 1) == ["earlier"]
    await catalog.write(garbage.forget, ["earlier", "now"])
    await catalog.write(garbage.forget, [])
    assert await catalog.write(garbage.due, 10) == []


async def test_garbage_added_twice_keeps_its_first_time(catalog: Catalog) -> None:
    await catalog.write(garbage.add, "copy", DRIVER, delay=0)
    await catalog.write(garbage.add, "copy", DRIVER, delay=HOUR)
    assert await catalog.write(garbage.due, 10) == ["copy"]


def _name_in_a_blob(tx: Connection) -> None:
    blobs.link(tx, REPOSITORY, digest("layer"), 5, "copy", DRIVER, lease=HOUR)


def _name_in_a_manifest(tx: Connection) -> None:
    row = {"digest": digest("image"), "payload": b"", "location": "copy", "driver": DRIVER}
    tx.execute(insert(t.manifest_payloads), row)


def _name_in_a_journal(tx: Connection) -> None:
    tx.execute(insert(t.journal_blobs), {"location": "copy", "first": 1, "last": 2})


def _upload(tx: Connection, state: str, location: str | None) -> None:
    row: dict[str, Any] = {"id": "u", "subject": "", "algorithm": "sha256", "expires_at": 0}
    repository_id = repositories.ensure(tx, REPOSITORY).id
    given = {"state": state, "location": location, "repository_id": repository_id}
    tx.execute(insert(t.uploads), row | given)


def _name_in_an_upload(tx: Connection) -> None:
    _upload(tx, "committing", "copy")


def _name_in_a_tail(tx: Connection) -> None:
    _upload(tx, "open", None)
    tail = {"upload_id": "u", "offset": 0, "size": 1, "location": "copy"}
    tx.execute(insert(t.upload_tails), tail)


NAMERS = [
    _name_in_a_blob,
    _name_in_a_manifest,
    _name_in_a_journal,
    _name_in_an_upload,
    _name_in_a_tail,
]


@pytest.mark.parametrize("name", NAMERS)
async def test_what_a_row_names_does_not_become_garbage(catalog: Catalog, name: Any) -> None:
    await catalog.write(name)
    await catalog.write(garbage.add, "copy", DRIVER, delay=0)
    assert await count(catalog, t.garbage) == 0


@pytest.mark.parametrize("name", NAMERS)
async def test_what_a_row_names_after_all_is_garbage_no_more(catalog: Catalog, name: Any) -> None:
    await catalog.write(garbage.add, "copy", DRIVER, delay=0)
    await catalog.write(name)
    assert await catalog.write(garbage.due, 10) == []
    await catalog.write(lambda tx: tx.execute(t.upload_tails.delete()).rowcount)
    await catalog.write(lambda tx: tx.execute(t.uploads.delete()).rowcount)
    assert await catalog.write(garbage.due, 10) == []


async def test_a_finished_upload_only_remembers_where_its_blob_was(catalog: Catalog) -> None:
    await catalog.write(_upload, "done", "copy")
    await catalog.write(garbage.add, "copy", DRIVER, delay=0)
    assert await catalog.write(garbage.due, 10) == ["copy"]


async def test_every_change_is_recorded_with_who_made_it(catalog: Catalog) -> None:
    old = await push(catalog, "old", ["latest"], ["layer"], actor="ann")
    new = await push(catalog, "new", ["latest"], actor="bob")
    await catalog.write(tags.delete, REPOSITORY, "latest", lease=0, actor="cleo")
    await catalog.write(manifests.delete, REPOSITORY, old, actor="dan", **TERMS)
    layer = digest("layer")
    await catalog.write(blobs.mount, REPOSITORY, OTHER, layer, lease=HOUR, actor="eve")
    await catalog.write(blobs.delete, REPOSITORY, layer, garbage_delay=0, actor="fay")
    await catalog.write(events.number)
    told = await catalog.read(events.after, 0, 100)
    pushed = {
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "subject": None,
        "size": 3,
    }
    assert [(event.kind, event.actor, dict(event.details)) for event in told] == [
        ("repository.created", "", {"visibility": "private"}),
        ("blob.linked", "", {"digest": layer, "size": 5}),
        ("manifest.pushed", "ann", {"digest": old, "tags": ["latest"], **pushed}),
        ("tag.set", "ann", {"tag": "latest", "digest": old, "replaced": None}),
        ("manifest.pushed", "bob", {"digest": new, "tags": ["latest"], **pushed}),
        ("tag.set", "bob", {"tag": "latest", "digest": new, "replaced": old}),
        ("tag.deleted", "cleo", {"tag": "latest", "digest": new}),
        ("manifest.deleted", "dan", {"digest": old}),
        ("repository.created", "eve", {"visibility": "private"}),
        ("blob.mounted", "eve", {"digest": layer, "size": 5, "source": REPOSITORY}),
        ("blob.deleted", "fay", {"digest": layer}),
    ]
    assert [event.repository for event in told].count(OTHER) == 2


async def test_a_deleted_manifest_says_which_tags_went_with_it(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["b", "a"])
    await catalog.write(manifests.delete, REPOSITORY, image, **TERMS)
    await catalog.write(events.number)
    told = await catalog.read(events.after, 4, 100)
    assert [(event.kind, event.details.get("tag")) for event in told] == [
        ("tag.deleted", "a"),
        ("tag.deleted", "b"),
        ("manifest.deleted", None),
    ]


async def test_nothing_is_recorded_of_what_was_refused(catalog: Catalog) -> None:
    with pytest.raises(RuntimeError):
        await catalog.write(_record_and_fail)
    assert await catalog.write(events.number) == 0


def _record_and_fail(tx: Connection) -> None:
    events.record(tx, "some.kind", None, details={"key": "value"})
    raise RuntimeError


async def test_readers_follow_positions_without_gaps(catalog: Catalog) -> None:
    for number in range(3):
        await catalog.write(events.record, "some.kind", None, "", {"n": number})
    assert await catalog.read(events.after, 0, 10) == []
    assert await catalog.write(events.number) == 3
    assert await catalog.write(events.number) == 0
    await catalog.write(events.record, "some.kind", REPOSITORY)
    assert await catalog.write(events.number) == 1
    told = await catalog.read(events.after, 1, 10)
    assert [event.position for event in told] == [2, 3, 4]
    assert [event.position for event in await catalog.read(events.after, 1, 1)] == [2]
    assert told[-1].repository == REPOSITORY


async def test_a_lease_is_held_by_one_until_it_ends(catalog: Catalog) -> None:
    assert await catalog.write(leases.acquire, "janitor", "ann", HOUR)
    assert await catalog.write(leases.acquire, "janitor", "ann", HOUR)
    assert not await catalog.write(leases.acquire, "janitor", "bob", HOUR)
    assert await catalog.write(leases.acquire, "sequencer", "bob", HOUR)
    assert await catalog.write(leases.acquire, "janitor", "ann", -1)
    assert await catalog.write(leases.acquire, "janitor", "bob", HOUR)
    assert not await catalog.write(leases.acquire, "janitor", "ann", HOUR)


async def test_a_lease_is_released_by_its_holder_alone(catalog: Catalog) -> None:
    await catalog.write(leases.acquire, "janitor", "ann", HOUR)
    await catalog.write(leases.release, "janitor", "bob")
    assert not await catalog.write(leases.acquire, "janitor", "bob", HOUR)
    await catalog.write(leases.release, "janitor", "ann")
    assert await catalog.write(leases.acquire, "janitor", "bob", HOUR)


async def test_a_store_is_created_once_and_its_tokens_follow_each_other(catalog: Catalog) -> None:
    assert await catalog.read(ownership.read) is None
    assert await catalog.write(ownership.create, "store", "1") == StoreRow("store", None, "1", None)
    assert (await catalog.write(ownership.create, "late", "x")).store_id == "store"
    assert await catalog.write(ownership.confirm, "1")
    assert await catalog.read(ownership.read) == StoreRow("store", "1", None, None)
    assert (await catalog.write(ownership.draw_next, "a")).next_token == "1.a"
    assert not await catalog.write(ownership.confirm, "1")
    assert await catalog.write(ownership.confirm, "1.a")


async def test_every_term_has_a_number_of_its_own(catalog: Catalog) -> None:
    await catalog.write(ownership.create, "store", ownership.token_of(7, "a"))
    tokens = [(await catalog.write(ownership.draw_next, "same")).next_token for _ in range(2)]
    assert tokens == ["8.same", "9.same"]
    await catalog.write(ownership.confirm, "9.same")
    assert (await catalog.write(ownership.draw_next, "b")).next_token == "10.b"


@pytest.mark.parametrize("text", ["", "b" * 32, "7", ".a", "-1.a", "7."])
def test_what_is_no_token_is_of_no_term(text: str) -> None:
    assert ownership.term_of(text) == 0


async def test_adopting_another_store_forgets_the_one_before(catalog: Catalog) -> None:
    first = await catalog.write(ownership.adopt, "store", "1")
    await catalog.write(ownership.confirm, "1")
    second = await catalog.write(ownership.adopt, "another", "2")
    assert second[:3] == ("another", None, "2")
    assert first.adopted_at is not None
    assert second.adopted_at is not None
    assert second.adopted_at >= first.adopted_at
