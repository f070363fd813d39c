"""Repositories as such: made, shown to everybody or not, renamed, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, select

from registry_storage.catalog import (
    Catalog,
    blobs,
    events,
    garbage,
    listings,
    manifests,
    namespaces,
    removal,
    repositories,
    upload_ends,
    uploads,
)
from registry_storage.catalog import tables as t
from registry_storage.catalog.blobs import BlobRow
from registry_storage.digest import Digest
from registry_storage.errors import (
    BlobUnknown,
    ManifestBlobUnknown,
    RepositoryExists,
    RepositoryUnknown,
    UploadUnknown,
)
from registry_storage.values import Actor, Visibility
from tests.catalog.interleaving import call, one_waits
from tests.catalog.samples import (
    HOUR,
    OTHER,
    REPOSITORY,
    TERMS,
    UPLOAD_TERMS,
    count,
    digest,
    link,
    push,
    push_blob,
    record,
)

UPLOAD = "0" * 32
CONTENT = (
    t.repositories,
    t.repository_blobs,
    t.blobs,
    t.manifests,
    t.manifest_payloads,
    t.manifest_blobs,
    t.manifest_children,
    t.reference_digests,
    t.tags,
    t.uploads,
    t.upload_tails,
    t.redirects,
    t.pulls,
)


@pytest.fixture
async def other(catalog: Catalog) -> AsyncIterator[Catalog]:
    """The same catalog, as another process has it open."""
    opened = await Catalog.open(catalog.url)
    yield opened
    await opened.close()


async def rename(catalog: Catalog, old: str, new: str) -> None:
    await catalog.write(repositories.rename, old, new)


async def delete(catalog: Catalog, name: str) -> list[Any]:
    return await catalog.write(removal.delete_repository, name, terms=UPLOAD_TERMS)


async def visibility(catalog: Catalog, name: str = REPOSITORY) -> Visibility | None:
    """As the pull path finds it, which must agree with the operation."""
    found = await catalog.read(repositories.visibility, name)
    assert await catalog.pulls.visibility(name) == found
    return found


async def told(catalog: Catalog) -> list[events.Event]:
    await catalog.write(events.number)
    return await catalog.read(events.after, 0, 1000)


async def begin_upload(catalog: Catalog, name: str = REPOSITORY) -> uploads.Session:
    await catalog.write(
        uploads.begin, name, UPLOAD, "ann", "sha256", None, limit=10, terms=UPLOAD_TERMS
    )
    return await catalog.read(uploads.load, name, UPLOAD, "ann")


# Visibility


async def test_what_a_push_makes_is_private(catalog: Catalog) -> None:
    assert await visibility(catalog) is None
    await push_blob(catalog, "layer")
    assert await visibility(catalog) is Visibility.PRIVATE


@pytest.mark.parametrize("chosen", [None, *Visibility])
async def test_a_repository_begins_as_its_namespace_says(
    catalog: Catalog, chosen: Visibility | None
) -> None:
    await catalog.write(namespaces.set_default_visibility, "team", Visibility.PUBLIC)
    await catalog.write(repositories.create, REPOSITORY, chosen)
    await push_blob(catalog, "layer", OTHER)
    await push_blob(catalog, "layer", "teams/app")
    assert await visibility(catalog) is (chosen or Visibility.PUBLIC)
    assert await visibility(catalog, OTHER) is Visibility.PUBLIC
    assert await visibility(catalog, "teams/app") is Visibility.PRIVATE


async def test_visibility_changes_once(catalog: Catalog) -> None:
    await push_blob(catalog, "layer")
    for _ in range(2):
        await catalog.write(
            repositories.set_visibility, REPOSITORY, Visibility.PUBLIC, actor=Actor("ann", "::1")
        )
    assert await visibility(catalog) is Visibility.PUBLIC
    *_, last = await told(catalog)
    assert (last.kind, last.actor, last.origin) == ("repository.visibility", "ann", "::1")
    assert dict(last.details) == {"visibility": "public", "before": "private"}
    assert [event.kind for event in await told(catalog)].count(last.kind) == 1


async def test_what_is_not_there_is_made_by_no_change(catalog: Catalog) -> None:
    for change in (
        call(repositories.set_visibility, REPOSITORY, Visibility.PUBLIC),
        call(repositories.rename, REPOSITORY, OTHER),
        call(removal.delete_repository, REPOSITORY, terms=UPLOAD_TERMS),
    ):
        with pytest.raises(RepositoryUnknown, match=REPOSITORY):
            await catalog.write(change)
    assert await count(catalog, t.repositories) == 0


async def test_a_name_is_made_once(catalog: Catalog) -> None:
    await catalog.write(repositories.create, REPOSITORY, None)
    with pytest.raises(RepositoryExists, match=REPOSITORY):
        await catalog.write(repositories.create, REPOSITORY, None)


# Renaming


async def test_everything_moves_with_a_name(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["latest"], ["layer"])
    await catalog.write(repositories.set_visibility, REPOSITORY, Visibility.PUBLIC)
    await rename(catalog, REPOSITORY, "another/place")
    assert await catalog.pulls.manifest(REPOSITORY, "latest") is None
    assert (await catalog.pulls.manifest("another/place", "latest")).digest == image  # type: ignore
    assert await catalog.pulls.blob("another/place", digest("layer")) is not None
    assert await visibility(catalog, "another/place") is Visibility.PUBLIC
    assert await catalog.read(listings.names, "", 10) == ["another/place"]
    last = (await told(catalog))[-1]
    assert (last.kind, last.repository) == ("repository.renamed", "another/place")


async def test_old_names_lead_to_the_newest(catalog: Catalog) -> None:
    await push_blob(catalog, "layer", "a")
    await rename(catalog, "a", "b")
    await rename(catalog, "b", "c")
    for name in "ab":
        assert await catalog.read(repositories.resolve, name) == "c"
    assert await catalog.read(repositories.resolve, "c") is None


async def test_a_name_leads_nowhere_once_it_is_taken_again(catalog: Catalog) -> None:
    for name in "abc":
        await push_blob(catalog, "layer", name)
        await rename(catalog, name, f"was/{name}")
    await push_blob(catalog, "layer", "a")
    await catalog.write(repositories.create, "b", None)
    await rename(catalog, "was/a", "c")
    for name in "abc":
        assert await catalog.read(repositories.resolve, name) is None
    await rename(catalog, "c", "was/a")
    assert await catalog.read(repositories.resolve, "was/a") is None
    assert await catalog.read(repositories.resolve, "c") == "was/a"


@pytest.mark.parametrize("new", [OTHER, REPOSITORY])
async def test_a_name_that_is_taken_stays_where_it_is(catalog: Catalog, new: str) -> None:
    await push_blob(catalog, "layer", OTHER)
    await push_blob(catalog, "layer")
    with pytest.raises(RepositoryExists, match=new):
        await rename(catalog, REPOSITORY, new)
    assert await catalog.read(repositories.find, REPOSITORY) is not None


async def test_of_a_rename_and_a_creation_of_the_name_one_is_refused(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer")
    made, renamed = await one_waits(
        catalog,
        call(repositories.create, OTHER, None),
        other,
        call(repositories.rename, REPOSITORY, OTHER),
    )
    await made
    with pytest.raises(RepositoryExists):
        await renamed


async def test_a_push_that_waited_for_a_rename_makes_the_name_anew(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "old layer")
    renamed, linked = await one_waits(
        catalog, call(repositories.rename, REPOSITORY, OTHER), other, call(link, "new layer")
    )
    await renamed
    await linked
    assert await catalog.pulls.blob(REPOSITORY, digest("new layer")) is not None
    assert await catalog.pulls.blob(REPOSITORY, digest("old layer")) is None
    assert await catalog.pulls.blob(OTHER, digest("old layer")) is not None


async def test_a_manifest_whose_blobs_are_renamed_away_is_refused_and_leaves_nothing(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer")
    put = call(
        manifests.put, REPOSITORY, record("image", ["layer"]), ["v1"], may_move_tags=True, **TERMS
    )
    renamed, pushed = await one_waits(
        catalog, call(repositories.rename, REPOSITORY, OTHER), other, put
    )
    await renamed
    with pytest.raises(ManifestBlobUnknown):
        await pushed
    assert await catalog.read(repositories.find, REPOSITORY) is None
    assert await catalog.read(repositories.resolve, REPOSITORY) == OTHER


async def test_a_push_under_way_goes_with_the_repository(catalog: Catalog, other: Catalog) -> None:
    await push_blob(catalog, "first")
    linked, renamed = await one_waits(
        catalog, call(link, "layer"), other, call(repositories.rename, REPOSITORY, OTHER)
    )
    await linked
    await renamed
    assert await catalog.pulls.blob(OTHER, digest("layer")) is not None
    assert await catalog.read(repositories.find, REPOSITORY) is None


async def test_an_upload_does_not_end_in_what_has_taken_the_old_name(catalog: Catalog) -> None:
    session = await begin_upload(catalog)
    await rename(catalog, REPOSITORY, OTHER)
    blob = BlobRow(Digest.of(b"x"), 1, "somewhere")
    end = call(upload_ends.complete_whole, session, blob, actor="ann", terms=UPLOAD_TERMS)
    with pytest.raises(UploadUnknown):
        await catalog.write(end)
    await push_blob(catalog, "layer")
    with pytest.raises(Exception, match=r"no upload|another request"):
        await catalog.write(end)
    assert await catalog.pulls.blob(REPOSITORY, blob.digest) is None
    assert await catalog.pulls.blob(OTHER, blob.digest) is None


# Deleting


async def _fill(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["latest"], ["layer", "shared"])
    await push(catalog, "index", ["all"], children=(image,), optional_children=(digest("far"),))
    await push(catalog, "signature", subject=image)
    await begin_upload(catalog)
    await catalog.write(_add_tail)
    await rename(catalog, REPOSITORY, "team/new")


def _add_tail(tx: Connection) -> None:
    session = uploads.load(tx, REPOSITORY, UPLOAD, "ann")
    tail = uploads.Tail(0, 70_000, location="tail")
    uploads.enter_handle(tx, UPLOAD, "handle")
    uploads.add_tail(tx, session, tail, None, terms=UPLOAD_TERMS)


async def test_a_deletion_leaves_nothing_but_garbage(catalog: Catalog) -> None:
    await _fill(catalog)
    abandoned = await delete(catalog, "team/new")
    assert [upload.handle for upload in abandoned] == ["handle"]
    assert {table.name: await count(catalog, table) for table in CONTENT} == {
        table.name: 0 for table in CONTENT
    }
    assert sorted(await catalog.write(garbage.due, 100)) == [
        "blob-layer",
        "blob-shared",
        "manifest-image",
        "manifest-index",
        "manifest-signature",
        "tail",
    ]
    last = (await told(catalog))[-1]
    assert (last.kind, last.repository) == ("repository.deleted", "team/new")


async def test_a_deletion_leaves_what_others_hold(catalog: Catalog) -> None:
    await _fill(catalog)
    kept = await push(catalog, "image", ["v1"], ["layer", "shared"], repository=OTHER)
    await delete(catalog, "team/new")
    assert (await catalog.pulls.manifest(OTHER, "v1")).digest == kept  # type: ignore[union-attr]
    assert await catalog.pulls.payload(kept) == b"image"
    for name in ("layer", "shared"):
        assert await catalog.pulls.blob(OTHER, digest(name)) is not None
    assert "blob-layer" not in await catalog.write(garbage.due, 100)


async def test_the_name_of_what_was_deleted_may_be_used_again(catalog: Catalog) -> None:
    await push(catalog, "image", ["latest"], ["layer"])
    await delete(catalog, REPOSITORY)
    await push(catalog, "image", ["v1"], ["layer"], location="new")
    assert await catalog.read(listings.names, "", 10) == [REPOSITORY]


async def test_a_push_that_waited_for_a_deletion_begins_anew(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "old")
    deleted, linked = await one_waits(
        catalog,
        call(removal.delete_repository, REPOSITORY, terms=UPLOAD_TERMS),
        other,
        call(link, "layer"),
    )
    await deleted
    await linked
    assert await catalog.pulls.blob(REPOSITORY, digest("layer")) is not None
    assert await catalog.pulls.blob(REPOSITORY, digest("old")) is None


async def test_a_push_that_came_before_a_deletion_goes_with_the_repository(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "old")
    linked, deleted = await one_waits(
        catalog,
        call(link, "layer"),
        other,
        call(removal.delete_repository, REPOSITORY, terms=UPLOAD_TERMS),
    )
    await linked
    await deleted
    assert await count(catalog, t.blobs) == 0
    assert sorted(await catalog.write(garbage.due, 10)) == ["blob-layer", "blob-old"]


async def test_a_mount_from_what_is_being_deleted_finds_it_or_not(
    catalog: Catalog, other: Catalog
) -> None:
    await push_blob(catalog, "layer")
    deleted, mounted = await one_waits(
        catalog,
        call(removal.delete_repository, REPOSITORY, terms=UPLOAD_TERMS),
        other,
        call(blobs.mount, REPOSITORY, OTHER, digest("layer"), lease=HOUR),
    )
    await deleted
    assert await mounted is None


async def test_a_deleted_blob_and_its_deleted_repository(catalog: Catalog, other: Catalog) -> None:
    await push_blob(catalog, "layer")
    deleted, blob_deleted = await one_waits(
        catalog,
        call(removal.delete_repository, REPOSITORY, terms=UPLOAD_TERMS),
        other,
        call(blobs.delete, REPOSITORY, digest("layer"), garbage_delay=0),
    )
    await deleted
    with pytest.raises(BlobUnknown):
        await blob_deleted
    locations = select(t.garbage.c.location)
    assert await catalog.read(lambda tx: tx.scalars(locations).all()) == ["blob-layer"]
