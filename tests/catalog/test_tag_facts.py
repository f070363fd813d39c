"""What is known of tags, and how often they were pulled."""

from __future__ import annotations

import pytest

from registry_storage.catalog import Catalog, listings, manifests, pull_counts, tag_facts, tags
from registry_storage.catalog import tables as t
from registry_storage.errors import RepositoryUnknown
from registry_storage.values import TagFacts
from tests.catalog.samples import HOUR, OTHER, REPOSITORY, TERMS, count, digest, push


async def tag(catalog: Catalog, name: str, repository: str = REPOSITORY) -> TagFacts:
    """As the page shows it, too."""
    found = await catalog.read(tag_facts.one, repository, name)
    assert found is not None
    page = await catalog.read(tag_facts.page, repository, "", 100)
    assert found in page
    return found


async def pull(catalog: Catalog, *references: str, repository: str = REPOSITORY) -> None:
    counts = {(repository, reference): references.count(reference) for reference in references}
    await catalog.write_unflushed(pull_counts.add, counts)


async def test_a_tag_takes_what_its_manifest_refers_to(catalog: Catalog) -> None:
    await push(catalog, "image", ["v1"], ["config", "layer"])
    found = await tag(catalog, "v1")
    assert (found.name, found.digest) == ("v1", digest("image"))
    assert found.media_type == "application/vnd.oci.image.manifest.v1+json"
    assert found.size == len("image" + "config" + "layer")
    assert found.moved_at >= found.pushed_at


async def test_an_index_takes_what_its_children_do_each_once(catalog: Catalog) -> None:
    one = await push(catalog, "one", [], ["shared", "first"])
    two = await push(catalog, "two", ["two"], ["shared", "second"])
    inner = await push(catalog, "inner", [], children=(two,))
    await push(
        catalog, "outer", ["all"], children=(one, two, inner), optional_children=(digest("far"),)
    )
    everything = "one" + "two" + "inner" + "outer" + "shared" + "first" + "second"
    assert (await tag(catalog, "all")).size == len(everything)
    assert (await tag(catalog, "two")).size == len("two" + "shared" + "second")


async def test_an_empty_manifest_takes_its_own_bytes(catalog: Catalog) -> None:
    await push(catalog, "image", ["v1"])
    assert (await tag(catalog, "v1")).size == len("image")


async def test_only_what_the_repository_holds_is_counted(catalog: Catalog) -> None:
    await push(catalog, "image", ["v1"], ["layer"])
    await push(catalog, "image", ["v1"], ["layer"], repository=OTHER)
    assert (await tag(catalog, "v1")).size == len("image" + "layer")


async def test_pages_are_in_byte_order_and_as_long_as_asked(catalog: Catalog) -> None:
    names = ["1.0", "B", "_x", "a", "a-b", "ab"]
    await push(catalog, "image", names)
    page = await catalog.read(tag_facts.page, REPOSITORY, "B", 3)
    assert [found.name for found in page] == ["_x", "a", "a-b"]


async def test_what_is_not_there(catalog: Catalog) -> None:
    with pytest.raises(RepositoryUnknown, match=REPOSITORY):
        await catalog.read(tag_facts.page, REPOSITORY, "", 10)
    assert await catalog.read(tag_facts.one, REPOSITORY, "v1") is None
    await push(catalog, "image")
    assert await catalog.read(tag_facts.page, REPOSITORY, "", 10) == []
    assert await catalog.read(tag_facts.one, REPOSITORY, "v1") is None


async def test_pulls_are_added_up_for_what_clients_asked_for(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["v1", "v2"])
    await pull(catalog, "v1", "v1", image)
    await pull(catalog, "v1")
    first, second = await tag(catalog, "v1"), await tag(catalog, "v2")
    assert first.pulls == 3
    assert first.last_pulled_at is not None
    assert first.last_pulled_at >= first.pushed_at
    assert (second.pulls, second.last_pulled_at) == (0, None)
    facts = await catalog.read(listings.facts, REPOSITORY)
    assert facts is not None
    assert facts.pulls == 4
    assert facts.last_pulled_at is not None


async def test_a_tag_that_moves_keeps_its_count(catalog: Catalog) -> None:
    await push(catalog, "image", ["v1"])
    await pull(catalog, "v1")
    await push(catalog, "second", ["v1"])
    assert (await tag(catalog, "v1")).pulls == 1


async def test_what_is_gone_is_not_counted(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["v1", "v2"])
    await pull(catalog, "v1", "v2", image)
    await pull(catalog, "v1", repository="no/such")
    await catalog.write(tags.delete, REPOSITORY, "v1", lease=HOUR)
    assert await count(catalog, t.pulls) == 2
    await catalog.write(manifests.delete, REPOSITORY, image, **TERMS)
    await pull(catalog, "v1", "v2", image)
    assert await count(catalog, t.pulls) == 0
