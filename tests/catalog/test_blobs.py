"""Blobs: linked, promised, mounted and deleted."""

from __future__ import annotations

import pytest

from registry_storage.catalog import Catalog, blobs, garbage, manifests, repositories
from registry_storage.catalog import tables as t
from registry_storage.catalog.blobs import BlobRow
from registry_storage.errors import BlobUnknown, ContentInUse
from tests.catalog.samples import (
    HOUR,
    OTHER,
    REPOSITORY,
    TERMS,
    count,
    digest,
    expire,
    push,
    push_blob,
    stamp,
)


async def find(catalog: Catalog, name: str, repository: str = REPOSITORY) -> BlobRow | None:
    """As the pull path finds it, which must agree with the operation."""
    found = await catalog.read(blobs.find, repository, digest(name))
    assert await catalog.pulls.blob(repository, digest(name)) == found
    return found


async def delete(catalog: Catalog, name: str, repository: str = REPOSITORY) -> None:
    await catalog.write(blobs.delete, repository, digest(name), garbage_delay=0)


async def test_a_linked_blob_is_found_in_its_repository_alone(catalog: Catalog) -> None:
    row = await push_blob(catalog, "layer")
    assert row == BlobRow(digest("layer"), len("layer"), "blob-layer")
    assert await find(catalog, "layer") == row
    assert await find(catalog, "layer", OTHER) is None
    assert await find(catalog, "another") is None


async def test_a_blob_is_stored_once_for_all_repositories(catalog: Catalog) -> None:
    await push_blob(catalog, "layer")
    again = await push_blob(catalog, "layer", OTHER, location="second-copy")
    assert again.location == "blob-layer"
    assert await find(catalog, "layer", OTHER) == again
    assert await count(catalog, t.blobs) == 1


async def test_the_holders_of_a_blob_are_those_that_hold_it_now(catalog: Catalog) -> None:
    for repository in (REPOSITORY, OTHER):
        await push_blob(catalog, "layer", repository)
    await push_blob(catalog, "another", "team/third")

    async def holders(limit: int = 10) -> list[str]:
        return await catalog.read(repositories.holders, digest("layer"), limit)

    assert await holders() == [REPOSITORY, OTHER]
    assert await holders(limit=1) == [REPOSITORY]
    await delete(catalog, "layer")
    assert await holders() == [OTHER]


async def test_linking_again_renews_the_lease_and_nothing_else(catalog: Catalog) -> None:
    await push_blob(catalog, "layer", lease=HOUR)
    before = await count(catalog, t.events)
    await push_blob(catalog, "layer", lease=3 * HOUR)
    unreferenced, left = await stamp(catalog, t.repository_blobs, "layer")
    assert unreferenced
    assert left > 2 * HOUR
    assert await count(catalog, t.events) == before


async def test_a_promise_renews_a_lease_of_which_a_quarter_has_passed(catalog: Catalog) -> None:
    await push_blob(catalog, "layer", lease=HOUR * 7 // 10)
    assert await catalog.promise_blob(REPOSITORY, digest("layer"), lease=HOUR) is not None
    assert (await stamp(catalog, t.repository_blobs, "layer"))[1] > HOUR * 9 // 10


async def test_a_promise_does_not_write_while_the_lease_is_fresh(catalog: Catalog) -> None:
    await push_blob(catalog, "layer", lease=HOUR * 8 // 10)
    before = await stamp(catalog, t.repository_blobs, "layer")
    await catalog.promise_blob(REPOSITORY, digest("layer"), lease=HOUR)
    await catalog.write(blobs.promise, REPOSITORY, digest("layer"), lease=HOUR)
    assert (await stamp(catalog, t.repository_blobs, "layer"))[1] <= before[1]


async def test_a_promise_of_a_referenced_blob_does_not_write(catalog: Catalog) -> None:
    await push(catalog, "image", ["latest"], ["layer"])
    await catalog.write(expire)
    assert await catalog.promise_blob(REPOSITORY, digest("layer"), lease=HOUR) is not None
    assert await stamp(catalog, t.repository_blobs, "layer") == (
        False,
        pytest.approx(0, abs=60_000),
    )


async def test_nothing_is_promised_that_is_not_here(catalog: Catalog) -> None:
    await push_blob(catalog, "layer", OTHER)
    assert await catalog.promise_blob(REPOSITORY, digest("layer"), lease=HOUR) is None
    assert await catalog.write(blobs.promise, REPOSITORY, digest("layer"), lease=HOUR) is None


async def test_a_mount_links_what_the_source_holds(catalog: Catalog) -> None:
    row = await push_blob(catalog, "layer")
    mounted = await catalog.write(blobs.mount, REPOSITORY, OTHER, digest("layer"), lease=HOUR)
    assert mounted == row
    assert await find(catalog, "layer", OTHER) == row


async def test_a_mount_needs_the_source_to_hold_the_blob(catalog: Catalog) -> None:
    await push_blob(catalog, "layer", "third/one")
    assert await catalog.write(blobs.mount, REPOSITORY, OTHER, digest("layer"), lease=HOUR) is None
    assert await find(catalog, "layer", OTHER) is None


async def test_the_bytes_go_with_the_last_repository(catalog: Catalog) -> None:
    await push_blob(catalog, "layer")
    await push_blob(catalog, "layer", OTHER)
    await delete(catalog, "layer")
    assert await find(catalog, "layer") is None
    assert await find(catalog, "layer", OTHER) is not None
    assert await catalog.write(garbage.due, 10) == []
    await delete(catalog, "layer", OTHER)
    assert await count(catalog, t.blobs) == 0
    assert await catalog.write(garbage.due, 10) == ["blob-layer"]


async def test_what_a_manifest_names_is_not_deleted(catalog: Catalog) -> None:
    image = await push(catalog, "image", [], ["layer"])
    with pytest.raises(ContentInUse) as refused:
        await delete(catalog, "layer")
    assert (refused.value.digest, refused.value.user) == (digest("layer"), image)
    assert await find(catalog, "layer") is not None


async def test_another_repository_may_delete_what_a_manifest_here_names(catalog: Catalog) -> None:
    await push(catalog, "image", [], ["layer"])
    await push_blob(catalog, "layer", OTHER)
    await delete(catalog, "layer", OTHER)
    assert await find(catalog, "layer") is not None


@pytest.mark.parametrize("repository", [REPOSITORY, "no/such"])
async def test_deleting_what_is_not_here(catalog: Catalog, repository: str) -> None:
    await push_blob(catalog, "one")
    await push_blob(catalog, "layer", OTHER)
    with pytest.raises(BlobUnknown, match=repository):
        await delete(catalog, "layer", repository)


async def test_losing_the_last_manifest_starts_the_grace_period(catalog: Catalog) -> None:
    first = await push(catalog, "first", [], ["layer"])
    second = await push(catalog, "second", [], ["layer"])
    await catalog.write(expire)
    await catalog.write(manifests.delete, REPOSITORY, first, **TERMS)
    assert not (await stamp(catalog, t.repository_blobs, "layer"))[0]
    await catalog.write(manifests.delete, REPOSITORY, second, **TERMS)
    unreferenced, left = await stamp(catalog, t.repository_blobs, "layer")
    assert unreferenced
    assert left > HOUR * 9 // 10
