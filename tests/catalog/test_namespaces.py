"""Namespaces: what is used is counted, and what would be too much is refused whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from registry_storage.catalog import Catalog, blobs, events, manifests, namespaces, repositories
from registry_storage.catalog import tables as t
from registry_storage.errors import QuotaExceeded
from registry_storage.values import Namespace, Usage, Visibility
from tests.catalog.interleaving import call, one_waits
from tests.catalog.samples import (
    HOUR,
    OTHER,
    REPOSITORY,
    TERMS,
    count,
    digest,
    link,
    push,
    push_blob,
    record,
)

ELSEWHERE = "elsewhere/app"


@pytest.fixture
async def other(catalog: Catalog) -> AsyncIterator[Catalog]:
    """The same catalog, as another process has it open."""
    opened = await Catalog.open(catalog.url)
    yield opened
    await opened.close()


async def limit(
    catalog: Catalog, bytes: int | None = None, repositories: int | None = None
) -> None:
    """Of the namespace of `REPOSITORY`."""
    await catalog.write(
        namespaces.set_quota, "team", max_bytes=bytes, max_repositories=repositories
    )


async def usage(catalog: Catalog, name: str = "team") -> Usage:
    return await catalog.read(namespaces.usage, name)


async def test_settings_are_kept_while_they_differ_from_the_defaults(catalog: Catalog) -> None:
    assert await catalog.read(namespaces.find, "team") == Namespace("team")
    settings = Namespace("team", Visibility.PUBLIC, max_bytes=2**40, max_repositories=0)
    given = {"max_bytes": 2**40, "max_repositories": 0}
    await catalog.write(namespaces.set_quota, "team", **given, actor="root")
    await catalog.write(namespaces.set_default_visibility, "team", Visibility.PUBLIC)
    assert await catalog.read(namespaces.find, "team") == settings
    assert await catalog.read(namespaces.find, "teams") == Namespace("teams")
    await catalog.write(namespaces.set_quota, "team", max_bytes=None, max_repositories=None)
    assert await catalog.read(namespaces.find, "team") == Namespace("team", Visibility.PUBLIC)
    await catalog.write(namespaces.set_default_visibility, "team", Visibility.PRIVATE)
    assert await catalog.read(namespaces.find, "team") == Namespace("team")
    assert await count(catalog, t.namespaces) == 0
    await catalog.write(events.number)
    first, *_ = await catalog.read(events.after, 0, 10)
    assert (first.kind, first.repository, first.actor) == ("namespace.changed", None, "root")
    assert first.details["max_bytes"] == 2**40


async def test_nothing_is_left_of_what_was_reset(catalog: Catalog) -> None:
    for name in ("team", "teams"):
        await catalog.write(namespaces.set_default_visibility, name, Visibility.PUBLIC)
        await catalog.write(namespaces.set_quota, name, max_bytes=1, max_repositories=None)
    for _ in range(2):
        await catalog.write(namespaces.reset, "team", actor="root")
    assert await catalog.read(namespaces.find, "team") == Namespace("team")
    assert await catalog.read(namespaces.find, "teams") != Namespace("teams")
    await catalog.write(events.number)
    *_, last = found = await catalog.read(events.after, 0, 10)
    assert (last.kind, last.actor, len(found)) == ("namespace.changed", "root", 5)


async def test_usage_counts_each_content_of_the_namespace_once(catalog: Catalog) -> None:
    assert await usage(catalog) == Usage(0, 0)
    for repository in (REPOSITORY, OTHER, ELSEWHERE, "team", "team-b/x", "team0/x"):
        await push(catalog, "image", ["v1"], ["layer"], repository=repository)
    assert await usage(catalog) == Usage(len("image" + "layer"), 2)
    await push(catalog, "second", [], ["layer", "another"], repository=OTHER)
    assert await usage(catalog) == Usage(len("image" + "layer" + "second" + "another"), 2)
    assert await usage(catalog, "") == Usage(len("image" + "layer"), 1)


async def test_usage_falls_with_what_is_deleted(catalog: Catalog) -> None:
    image = await push(catalog, "image", [], ["layer"])
    await catalog.write(manifests.delete, REPOSITORY, image, **TERMS)
    assert await usage(catalog) == Usage(len("layer"), 1)
    await catalog.write(blobs.delete, REPOSITORY, digest("layer"), garbage_delay=0)
    assert await usage(catalog) == Usage(0, 1)


async def test_a_blob_fits_exactly_or_not_at_all(catalog: Catalog) -> None:
    await limit(catalog, bytes=10)
    await push_blob(catalog, "12345")
    await push_blob(catalog, "67890", OTHER)
    with pytest.raises(QuotaExceeded) as refused:
        await push_blob(catalog, "x")
    error = refused.value
    assert (error.namespace, error.used, error.limit, error.unit) == ("team", 11, 10, "bytes")
    assert "namespace team may hold 10 bytes" in str(error)
    assert await catalog.pulls.blob(REPOSITORY, digest("x")) is None
    assert await count(catalog, t.blobs) == 2
    await push_blob(catalog, "x", ELSEWHERE)


async def test_what_the_namespace_holds_already_takes_no_more(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["v1"], ["layer"])
    await limit(catalog, bytes=1)
    await push_blob(catalog, "layer")
    await push_blob(catalog, "layer", OTHER)
    mounted = await catalog.write(
        blobs.mount, REPOSITORY, "team/third", digest("layer"), lease=HOUR
    )
    assert mounted is not None
    assert await push(catalog, "image", ["v2"]) == image
    assert await push(catalog, "image", ["v2"], repository=OTHER) == image


async def test_a_mount_from_another_namespace_is_counted(catalog: Catalog) -> None:
    await push_blob(catalog, "layer", ELSEWHERE)
    await limit(catalog, bytes=len("layer") - 1)
    with pytest.raises(QuotaExceeded):
        await catalog.write(blobs.mount, ELSEWHERE, REPOSITORY, digest("layer"), lease=HOUR)
    assert await catalog.pulls.blob(REPOSITORY, digest("layer")) is None


async def test_a_manifest_is_counted(catalog: Catalog) -> None:
    await limit(catalog, bytes=len("layer") + len("image") - 1)
    with pytest.raises(QuotaExceeded):
        await push(catalog, "image", ["v1"], ["layer"])
    assert await catalog.pulls.manifest(REPOSITORY, "v1") is None
    assert await count(catalog, t.manifest_payloads) == 0
    await limit(catalog, bytes=len("layer") + len("image"))
    await push(catalog, "image", ["v1"], ["layer"])


async def test_a_namespace_holds_so_many_repositories_and_no_more(catalog: Catalog) -> None:
    await limit(catalog, repositories=2)
    await push_blob(catalog, "layer", REPOSITORY)
    await catalog.write(repositories.create, OTHER, None)
    for refused in (
        call(repositories.create, "team/third", None),
        call(link, "layer", "team/third"),
    ):
        with pytest.raises(QuotaExceeded, match="may hold 2 repositories, and would hold 3"):
            await catalog.write(refused)
    await push_blob(catalog, "another", REPOSITORY)
    await push_blob(catalog, "layer", ELSEWHERE)


async def test_a_transfer_must_fit(catalog: Catalog) -> None:
    await push(catalog, "image", ["v1"], ["layer"], repository=ELSEWHERE)
    await push_blob(catalog, "layer", REPOSITORY)
    for settings in ({"bytes": 9}, {"repositories": 1}):
        await limit(catalog, **settings)
        with pytest.raises(QuotaExceeded):
            await catalog.write(repositories.rename, ELSEWHERE, "team/moved")
        assert await catalog.read(repositories.resolve, ELSEWHERE) is None
    await limit(catalog, bytes=10, repositories=2)
    await catalog.write(repositories.rename, ELSEWHERE, "team/moved")
    assert await usage(catalog) == Usage(10, 2)


async def test_a_rename_within_a_full_namespace_is_no_growth(catalog: Catalog) -> None:
    await push_blob(catalog, "layer")
    await limit(catalog, bytes=1, repositories=1)
    await catalog.write(repositories.rename, REPOSITORY, OTHER)


async def test_of_two_pushes_that_fit_alone_the_second_is_refused(
    catalog: Catalog, other: Catalog
) -> None:
    for repository in (REPOSITORY, OTHER):
        await push_blob(catalog, "base", repository)
    await limit(catalog, bytes=len("base") + len("first"))
    first, second = await one_waits(
        catalog, call(link, "first", REPOSITORY), other, call(link, "other", OTHER)
    )
    await first
    with pytest.raises(QuotaExceeded):
        await second
    assert (await usage(catalog)).bytes == len("base") + len("first")


async def test_of_two_manifests_that_fit_alone_the_second_is_refused(
    catalog: Catalog, other: Catalog
) -> None:
    for repository in (REPOSITORY, OTHER):
        await push_blob(catalog, "base", repository)
    await limit(catalog, bytes=len("base") + len("first"))
    puts = (
        call(manifests.put, repository, record(name), [], may_move_tags=True, **TERMS)
        for name, repository in (("first", REPOSITORY), ("other", OTHER))
    )
    first, second = await one_waits(catalog, next(puts), other, next(puts))
    await first
    with pytest.raises(QuotaExceeded):
        await second


async def test_of_two_new_repositories_the_second_is_refused(
    catalog: Catalog, other: Catalog
) -> None:
    await limit(catalog, repositories=1)
    first, second = await one_waits(
        catalog, call(link, "layer", REPOSITORY), other, call(repositories.create, OTHER, None)
    )
    await first
    with pytest.raises(QuotaExceeded):
        await second
