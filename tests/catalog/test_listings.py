"""Tags and repositories: listed in byte order, in pages; untagged."""

from __future__ import annotations

import pytest

from registry_storage.catalog import Catalog, listings, manifests, repositories, tags
from registry_storage.catalog import tables as t
from registry_storage.errors import ManifestUnknown
from tests.catalog.samples import HOUR, OTHER, REPOSITORY, TERMS, digest, push, push_blob, stamp

BYTE_ORDER = ["1.0", "B", "_x", "a", "a-b", "a.b", "ab"]
"""What people's collations sort otherwise."""


async def test_tags_are_listed_in_byte_order_whatever_the_collation(catalog: Catalog) -> None:
    await push(catalog, "image", list(reversed(BYTE_ORDER)))
    await push(catalog, "image", ["elsewhere"], repository=OTHER)
    assert await catalog.read(tags.names, REPOSITORY, "", 100) == BYTE_ORDER


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_pages_of_tags_make_up_the_list(catalog: Catalog, size: int) -> None:
    await push(catalog, "image", BYTE_ORDER)
    listed: list[str] = []
    while page := await catalog.read(tags.names, REPOSITORY, listed[-1] if listed else "", size):
        listed += page
    assert listed == BYTE_ORDER


async def test_a_page_may_begin_after_a_tag_that_is_gone(catalog: Catalog) -> None:
    await push(catalog, "image", BYTE_ORDER)
    assert await catalog.read(tags.names, REPOSITORY, "C", 2) == ["_x", "a"]


async def test_there_are_no_tags_of_a_repository_that_is_not_there(catalog: Catalog) -> None:
    await push(catalog, "image")
    assert await catalog.read(tags.names, REPOSITORY, "", 10) == []
    assert await catalog.read(tags.names, OTHER, "", 10) is None


async def test_untagging_leaves_the_manifest_and_starts_its_grace_period(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["latest", "v1"], lease=0)
    await catalog.write(tags.delete, REPOSITORY, "latest", lease=HOUR)
    assert not (await stamp(catalog, t.manifests, "image"))[0]
    await catalog.write(tags.delete, REPOSITORY, "v1", lease=HOUR)
    unreferenced, left = await stamp(catalog, t.manifests, "image")
    assert unreferenced
    assert left > HOUR * 9 // 10
    assert await catalog.read(manifests.find, REPOSITORY, image) is not None
    assert await catalog.read(tags.names, REPOSITORY, "", 10) == []


@pytest.mark.parametrize("repository", [REPOSITORY, OTHER])
async def test_untagging_what_is_not_tagged(catalog: Catalog, repository: str) -> None:
    await push(catalog, "image", ["latest"])
    with pytest.raises(ManifestUnknown, match=f"{repository} has no tag v1"):
        await catalog.write(tags.delete, repository, "v1", lease=HOUR)


async def test_repositories_that_hold_a_manifest_are_listed_in_byte_order(catalog: Catalog) -> None:
    names = ["a", "a-b", "a/b", "ab", "b"]
    for name in reversed(names):
        await push(catalog, "image", repository=name)
    await push_blob(catalog, "layer", "a/only-blobs")
    assert await catalog.read(listings.names, "", 100) == names
    assert await catalog.read(listings.names, "a/b", 1) == ["ab"]


async def test_an_emptied_repository_is_not_listed(catalog: Catalog) -> None:
    await push(catalog, "image", ["latest"])
    await catalog.write(manifests.delete, REPOSITORY, digest("image"), **TERMS)
    assert await catalog.read(listings.names, "", 100) == []


async def test_a_repository_is_made_once(catalog: Catalog) -> None:
    assert await catalog.read(repositories.find, REPOSITORY) is None
    assert await catalog.write(repositories.lock, REPOSITORY) is None
    made = await catalog.write(repositories.ensure, REPOSITORY)
    number = made.id
    assert await catalog.write(repositories.ensure, REPOSITORY) == made
    assert await catalog.write(repositories.lock_or_make, REPOSITORY) == made
    assert await catalog.write(repositories.keep, REPOSITORY) == made
    assert await catalog.write(repositories.lock, REPOSITORY) == number
    assert await catalog.read(repositories.find, REPOSITORY) == number
