"""Manifests: pushed, found, promised and deleted, with what they name."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from registry_storage.catalog import Catalog, blobs, garbage, manifests, referrers
from registry_storage.catalog import tables as t
from registry_storage.catalog.manifests import ManifestRow
from registry_storage.catalog.referrers import ReferrerRow
from registry_storage.errors import (
    ContentInUse,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    TagExists,
)
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
    record,
    stamp,
)


async def find(catalog: Catalog, reference: str, repository: str = REPOSITORY) -> str | None:
    """The digest, as the pull path finds it, which must agree with the operation."""
    found = await catalog.read(manifests.find, repository, reference)
    assert await catalog.pulls.manifest(repository, reference) == found
    return found.digest if found else None


async def delete(catalog: Catalog, name: str, repository: str = REPOSITORY) -> None:
    await catalog.write(manifests.delete, repository, digest(name), **TERMS)


async def is_held(catalog: Catalog, name: str) -> bool:
    return not (await stamp(catalog, t.manifests, name))[0]


async def test_a_manifest_is_found_by_digest_and_by_tag(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["latest", "v1"], ["config", "layer"])
    row = ManifestRow(image, record("image").media_type, len("image"))
    for reference in (image, "latest", "v1"):
        assert await catalog.read(manifests.find, REPOSITORY, reference) == row
        assert await find(catalog, reference) == image
    assert await find(catalog, "v2") is None
    assert await find(catalog, image, OTHER) is None
    assert await catalog.pulls.payload(image) == b"image"
    assert await catalog.pulls.payload(digest("none")) is None


async def test_all_that_is_missing_is_named_in_order(catalog: Catalog) -> None:
    await push_blob(catalog, "here")
    await push_blob(catalog, "layer", OTHER)
    wanted = record("image", ["z", "here", "layer", "a", "z"], children=(digest("child"),))
    missing = tuple(digest(name) for name in ("z", "layer", "a", "child"))
    with pytest.raises(ManifestBlobUnknown) as foreseen:
        await catalog.read(manifests.prepare, REPOSITORY, wanted, ["latest"], may_move_tags=True)
    with pytest.raises(ManifestBlobUnknown) as refused:
        await catalog.write(
            manifests.put, REPOSITORY, wanted, ["latest"], may_move_tags=True, **TERMS
        )
    assert foreseen.value.missing == refused.value.missing == missing
    assert await find(catalog, "latest") is None
    assert await count(catalog, t.manifest_payloads) == 0


async def test_a_blob_must_have_the_size_that_the_manifest_says(catalog: Catalog) -> None:
    await push_blob(catalog, "layer")
    wrong = replace(record("image"), blobs=((digest("layer"), 4),))
    said = r"has 5 bytes, the manifest says 4"
    with pytest.raises(ManifestInvalid, match=said):
        await catalog.read(manifests.prepare, REPOSITORY, wrong, [], may_move_tags=True)
    with pytest.raises(ManifestInvalid, match=said):
        await catalog.write(manifests.put, REPOSITORY, wrong, [], may_move_tags=True, **TERMS)


async def test_what_is_acceptable_is_foreseen_with_the_place_of_its_bytes(
    catalog: Catalog,
) -> None:
    def foreseen(name: str, repository: str = REPOSITORY) -> Awaitable[str | None]:
        image = record(name, ["layer"])
        return catalog.read(
            manifests.prepare, repository, image, ["latest", "new"], may_move_tags=False
        )

    await push_blob(catalog, "layer")
    assert await foreseen("image") is None
    await push(catalog, "image", ["latest"], ["layer"])
    assert await foreseen("image") == "manifest-image"
    with pytest.raises(TagExists):
        await foreseen("other")
    with pytest.raises(ManifestBlobUnknown):
        await foreseen("image", "team/new")


async def test_a_thousand_references(catalog: Catalog) -> None:
    names = [f"layer {number}" for number in range(1000)]

    def link_all(tx):  # type: ignore[no-untyped-def]
        for name in names:
            blobs.link(tx, REPOSITORY, digest(name), len(name), name, "memory", lease=HOUR)

    await catalog.write(link_all)
    await catalog.write(
        manifests.put, REPOSITORY, record("image", names), ["latest"], may_move_tags=True, **TERMS
    )
    assert await count(catalog, t.manifest_blobs) == 1000
    assert not (await stamp(catalog, t.repository_blobs, names[0]))[0]
    await delete(catalog, "image")
    assert (await stamp(catalog, t.repository_blobs, names[999]))[0]


async def test_pushing_again_changes_nothing_but_the_lease(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["latest"], ["layer"])
    await catalog.write(expire, t.manifests)
    assert await push(catalog, "image", ["latest", "v1"], ["layer"]) == image
    assert (await stamp(catalog, t.manifests, "image"))[1] > HOUR * 9 // 10
    assert await count(catalog, t.manifests) == 1
    assert await count(catalog, t.manifest_blobs) == 1
    assert await find(catalog, "v1") == image


async def test_pushing_again_under_another_type_replaces_what_it_refers_to(
    catalog: Catalog,
) -> None:
    await push_blob(catalog, "layer")
    await push(catalog, "image", [], [], media_type="application/unknown")
    assert (await stamp(catalog, t.repository_blobs, "layer"))[0]
    await push(catalog, "image", [], ["layer"])
    assert not (await stamp(catalog, t.repository_blobs, "layer"))[0]
    await push(catalog, "image", [], [], media_type="application/unknown")
    assert (await stamp(catalog, t.repository_blobs, "layer"))[0]


async def test_the_bytes_are_stored_once_and_the_second_copy_is_garbage(catalog: Catalog) -> None:
    await push(catalog, "image")
    copy = record("image", location="second-copy")
    linked = await catalog.write(manifests.put, OTHER, copy, [], may_move_tags=True, **TERMS)
    assert linked == "manifest-image"
    assert await catalog.write(garbage.due, 10) == ["second-copy"]


async def test_a_tag_moves_and_what_it_named_is_unreferenced_from_then_on(catalog: Catalog) -> None:
    await push(catalog, "old", ["latest"])
    await catalog.write(expire, t.manifests)
    assert await is_held(catalog, "old")
    new = await push(catalog, "new", ["latest"])
    assert await find(catalog, "latest") == new
    unreferenced, left = await stamp(catalog, t.manifests, "old")
    assert unreferenced
    assert left > HOUR * 9 // 10
    assert await is_held(catalog, "new")


async def test_what_another_tag_or_an_index_names_stays_held(catalog: Catalog) -> None:
    child = await push(catalog, "child", ["latest", "v1"])
    await push(catalog, "next", ["latest"])
    assert await is_held(catalog, "child")
    await push(catalog, "index", children=(child,))
    await push(catalog, "next", ["v1"])
    assert await is_held(catalog, "child")
    await delete(catalog, "index")
    assert not await is_held(catalog, "child")


async def test_a_tag_is_not_moved_by_who_may_not(catalog: Catalog) -> None:
    old = await push(catalog, "old", ["latest"])
    with pytest.raises(TagExists, match="latest"):
        await push(catalog, "new", ["fresh", "latest"], may_move_tags=False)
    assert await find(catalog, "latest") == old
    assert await find(catalog, "fresh") is None
    await push(catalog, "old", ["fresh", "latest"], may_move_tags=False)
    assert await find(catalog, "fresh") == old


async def test_a_deleted_manifest_is_gone_with_its_tags_and_bytes(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["latest", "v1"], ["layer"])
    await push(catalog, "other", ["v2"])
    await delete(catalog, "image")
    for reference in (image, "latest", "v1"):
        assert await find(catalog, reference) is None
    assert await find(catalog, "v2") == digest("other")
    assert await catalog.pulls.payload(image) is None
    assert await catalog.write(garbage.due, 10) == ["manifest-image"]
    await catalog.write(blobs.delete, REPOSITORY, digest("layer"), garbage_delay=0)


async def test_the_bytes_stay_while_another_repository_lists_them(catalog: Catalog) -> None:
    image = await push(catalog, "image")
    await push(catalog, "image", repository=OTHER)
    await delete(catalog, "image")
    assert await find(catalog, image, OTHER) == image
    assert await catalog.pulls.payload(image) == b"image"


async def test_a_child_of_an_index_is_not_deleted(catalog: Catalog) -> None:
    child = await push(catalog, "child")
    index = await push(catalog, "index", children=(child,))
    with pytest.raises(ContentInUse) as refused:
        await delete(catalog, "child")
    assert refused.value.user == index
    await delete(catalog, "index")
    await delete(catalog, "child")


@pytest.mark.parametrize("repository", [REPOSITORY, OTHER, "no/such"])
async def test_deleting_what_is_not_listed(catalog: Catalog, repository: str) -> None:
    await push(catalog, "image", repository="third/one")
    await push(catalog, "another", repository=OTHER)
    with pytest.raises(ManifestUnknown, match=repository):
        await delete(catalog, "image", repository)


async def test_a_sparse_index_holds_a_child_from_when_it_comes(catalog: Catalog) -> None:
    index = await push(catalog, "index", ["latest"], optional_children=(digest("child"),))
    await push(catalog, "child")
    assert await is_held(catalog, "child")
    with pytest.raises(ContentInUse) as refused:
        await delete(catalog, "child")
    assert refused.value.user == index
    assert await count(catalog, t.reference_digests) == 0


async def test_optional_blobs_are_held_where_they_are_here(catalog: Catalog) -> None:
    await push_blob(catalog, "here")
    optional = (digest("here"), digest("elsewhere"))
    await push(catalog, "image", optional_blobs=optional)
    with pytest.raises(ContentInUse):
        await catalog.write(blobs.delete, REPOSITORY, digest("here"), garbage_delay=0)
    await delete(catalog, "image")
    await catalog.write(blobs.delete, REPOSITORY, digest("here"), garbage_delay=0)


async def test_a_referrer_is_held_by_its_subject_whichever_comes_first(catalog: Catalog) -> None:
    image = digest("image")
    await push(catalog, "early", subject=image)
    assert not await is_held(catalog, "early")
    await push(catalog, "image", ["latest"])
    await push(catalog, "late", subject=image)
    assert await is_held(catalog, "early")
    assert await is_held(catalog, "late")
    await delete(catalog, "image")
    assert not await is_held(catalog, "early")
    assert not await is_held(catalog, "late")


async def test_referrers_are_listed_by_type_and_in_pages(catalog: Catalog) -> None:
    image = await push(catalog, "image")
    names = sorted(["sbom", "signature", "scan"], key=digest)
    for name in names:
        await push(
            catalog, name, subject=image, artifact_type=f"text/{name}", annotations={"of": name}
        )
    await push(catalog, "stranger", subject=digest("another image"))
    await push(catalog, "far", repository=OTHER, subject=image)

    async def listed(
        artifact_type: str | None = None, after: str = "", limit: int = 10
    ) -> list[str]:
        rows = await catalog.read(referrers.page, REPOSITORY, image, artifact_type, after, limit)
        return [row.digest for row in rows]

    assert await listed() == [digest(name) for name in names]
    assert await listed(limit=2) == [digest(name) for name in names[:2]]
    assert await listed(after=digest(names[1])) == [digest(names[2])]
    assert await listed("text/sbom") == [digest("sbom")]
    assert await listed("text/none") == []
    await delete(catalog, "image")
    assert len(await listed()) == 3


async def test_a_page_of_referrers_holds_so_much_text_and_the_next_goes_on(
    catalog: Catalog,
) -> None:
    image = await push(catalog, "image")
    names = sorted((f"signature {number}" for number in range(80)), key=digest)
    annotations = {"text": "x" * 64 * 1024}

    def push_all(tx: Connection) -> None:
        for name in names:
            signature = record(name, subject=image, annotations=annotations)
            manifests.put(tx, REPOSITORY, signature, [], may_move_tags=True, **TERMS)

    await catalog.write(push_all)
    pages: list[list[str]] = []
    while not pages or pages[-1]:
        after = pages[-1][-1] if pages else ""
        rows = await catalog.read(referrers.page, REPOSITORY, image, None, after, 1000)
        pages.append([row.digest for row in rows])
    assert [len(page) for page in pages] == [64, 16, 0]
    assert [each for page in pages for each in page] == [digest(name) for name in names]


async def test_a_referrer_is_listed_with_what_it_says(catalog: Catalog) -> None:
    said = {"annotations": {"key": "value"}, "artifact_type": "text/spdx"}
    await push(catalog, "sbom", subject=digest("image"), **said)
    await push(catalog, "plain", subject=digest("image"))
    rows = await catalog.read(referrers.page, REPOSITORY, digest("image"), None, "", 10)
    media_type = record("sbom").media_type
    assert {row.digest: row for row in rows} == {
        digest("sbom"): ReferrerRow(digest("sbom"), media_type, 4, "text/spdx", {"key": "value"}),
        digest("plain"): ReferrerRow(digest("plain"), media_type, 5, None, None),
    }


async def test_a_promise_renews_the_lease_of_what_nothing_names(catalog: Catalog) -> None:
    image = await push(catalog, "image", ["latest"])
    untagged = await push(catalog, "untagged")
    await catalog.write(expire, t.manifests)
    assert (await catalog.promise_manifest(REPOSITORY, "latest", lease=HOUR)) is not None
    assert (await stamp(catalog, t.manifests, "image"))[1] < 0
    promised = await catalog.promise_manifest(REPOSITORY, untagged, lease=HOUR)
    assert promised is not None
    assert promised.digest == untagged
    assert (await stamp(catalog, t.manifests, "untagged"))[1] > HOUR * 9 // 10
    assert await catalog.promise_manifest(OTHER, image, lease=HOUR) is None
    assert await catalog.write(manifests.promise, OTHER, image, lease=HOUR) is None
    assert await catalog.write(manifests.promise, REPOSITORY, "v9", lease=HOUR) is None
