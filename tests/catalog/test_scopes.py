"""Lists of what somebody may see: what is public, some namespaces, single names."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from registry_storage.catalog import Catalog, listings, manifests, repositories
from registry_storage.catalog.listings import Scope
from registry_storage.names import namespace_of
from registry_storage.values import Visibility
from tests.catalog.samples import TERMS, digest, push, push_blob

NAMES = sorted(
    [
        "a", "a/a", "a/b", "a-b/a", "a.b/a", "a0", "a0/a", "a/b/c", "aa/a", "b", "b/a", "b/b",
        "c/a", "c/d/e",
    ]
)  # fmt: skip
PUBLIC = {"a", "a-b/a", "b/b", "c/d/e", "a/b"}
EMPTY = {"a0", "b/b", "a/b/c", "c/a"}
SCOPES = [
    Scope(),
    Scope(public=True),
    Scope(namespaces=["a"]),
    Scope(namespaces=["", "c"]),
    Scope(namespaces=["b", "a-b", "a", "none"]),
    Scope(names=["a/b", "b", "no/such", "c/a"]),
    Scope(public=True, namespaces=["a", "a0"], names=["b/a", "b/b"]),
    Scope(names=[f"many/{number}" for number in range(1000)] + ["c/a", "a"]),
]


@pytest.fixture
async def filled(catalog: Catalog) -> Catalog:
    for name in random.Random(1).sample(NAMES, len(NAMES)):
        await (push_blob(catalog, "layer", name) if name in EMPTY else _push(catalog, name))
        if name in PUBLIC:
            await catalog.write(repositories.set_visibility, name, Visibility.PUBLIC)
    return catalog


async def _push(catalog: Catalog, name: str) -> None:
    await push(catalog, "image", ["v1"], repository=name)


def _is_in(scope: Scope, name: str) -> bool:
    is_public = scope.public and name in PUBLIC
    return is_public or namespace_of(name) in scope.namespaces or name in scope.names


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_pages_make_up_what_lies_in_the_scope(filled: Catalog, size: int) -> None:
    for scope in SCOPES:
        expected = [name for name in NAMES if _is_in(scope, name)]
        found: list[str] = []
        while page := await filled.read(listings.browse, scope, found[-1] if found else "", size):
            found += [facts.name for facts in page]
        assert found == expected, scope
        listed = await filled.read(listings.visible, scope, "", 100)
        assert listed == [name for name in expected if name not in EMPTY], scope
        if listed:
            behind = await filled.read(listings.visible, scope, listed[0], 1)
            assert behind == listed[1:2], scope


async def test_without_a_scope_there_is_everything(filled: Catalog) -> None:
    found = await filled.read(listings.browse, None, "", 100)
    assert [facts.name for facts in found] == NAMES
    assert {facts.name for facts in found if facts.visibility is Visibility.PUBLIC} == PUBLIC
    assert all(first.name < second.name for first, second in pairwise(found))


async def test_what_is_listed_follows_pushes_and_deletions(filled: Catalog) -> None:
    await filled.write(manifests.delete, "a", digest("image"), **TERMS)
    await _push(filled, "a0")
    await push(filled, "another", repository="b/a")
    await filled.write(manifests.delete, "b/a", digest("image"), **TERMS)
    listed = await filled.read(listings.names, "", 100)
    assert listed == [name for name in NAMES if name in ({*NAMES} - EMPTY - {"a"}) | {"a0"}]


async def test_facts_add_up(catalog: Catalog) -> None:
    assert await catalog.read(listings.facts, "team/app") is None
    await push_blob(catalog, "layer", "team/app")
    empty = await catalog.read(listings.facts, "team/app")
    assert empty is not None
    assert (empty.namespace, empty.size, empty.tags, empty.last_pushed_at) == ("team", 5, 0, None)
    image = await push(catalog, "image", ["v1", "v2"], ["layer", "shared"], repository="team/app")
    await push(catalog, "second", ["v3"], ["shared"], repository="team/app")
    await push(catalog, "index", [], children=(image,), repository="team/app")
    facts = await catalog.read(listings.facts, "team/app")
    assert facts is not None
    assert facts.size == len("layer" + "shared" + "image" + "second" + "index")
    assert (facts.tags, facts.pulls, facts.last_pulled_at) == (3, 0, None)
    assert facts.last_pushed_at is not None
    assert facts.created_at <= facts.last_pushed_at
    await push(catalog, "image", ["v3"], repository="team/app")
    again = await catalog.read(listings.facts, "team/app")
    assert again is not None
    assert again.last_pushed_at is not None
    assert again.last_pushed_at >= facts.last_pushed_at
