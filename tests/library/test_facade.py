"""What an embedding program sees: images pushed, pulled, listed and deleted through the facade."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from registry_storage import (
    BlobInfo,
    Digest,
    Registry,
    Repository,
    StorePolicy,
    image_index,
    image_manifest,
    media_types,
    open_driver,
    sync,
)
from registry_storage.catalog import Catalog, events
from registry_storage.drivers.api import BlobKind, Buffers, Mark, StoredBlob
from registry_storage.drivers.wrappers.base import DelegatingDriver
from registry_storage.errors import (
    BlobUnknown,
    ConfigurationInvalid,
    ContentInUse,
    DigestInvalid,
    DriverUnavailable,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestTooLarge,
    ManifestUnknown,
    NameInvalid,
    RangeNotSatisfiable,
    ReadOnlyStore,
    RepositoryUnknown,
    TagExists,
    TagInvalid,
)
from registry_storage.images import descriptor


async def push_image(repository: Repository, layer: bytes, *tags: str) -> Digest:
    config = await repository.put_blob(b'{"os": "linux"}')
    stored = await repository.put_blob(layer)
    pushed = await repository.put_manifest(image_manifest(config, [stored]), tags=tags)
    return pushed.digest


async def read(repository: Repository, blob: BlobInfo, *bounds: int) -> bytes:
    async with repository.read_blob(blob, *bounds) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_an_image_comes_back_as_it_was_pushed(registry: Registry) -> None:
    repository = registry.repository("team/app")
    digest = await push_image(repository, b"layer", "1.0", "latest")
    by_tag, by_digest = await repository.manifest("latest"), await repository.manifest(digest)
    assert by_tag == by_digest
    assert by_tag.media_type == media_types.OCI_MANIFEST
    assert Digest.of(by_tag.payload) == digest
    assert await repository.tags() == ["1.0", "latest"]
    assert await registry.repositories() == ["team/app"]


async def test_a_range_is_clipped_and_may_be_empty(registry: Registry) -> None:
    repository = registry.repository("a")
    blob = await repository.put_blob(b"0123456789")
    assert await read(repository, blob) == b"0123456789"
    assert await read(repository, blob, 3, 5) == b"34"
    assert await read(repository, blob, 8, 100) == b"89"
    assert await read(repository, blob, 10) == b""
    with pytest.raises(RangeNotSatisfiable):
        await read(repository, blob, 11)


async def test_a_blob_may_come_in_pieces_and_in_any_algorithm(registry: Registry) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b"x" * 1000

    repository = registry.repository("a")
    expected = Digest.of(b"x" * 300_000, "sha512")
    blob = await repository.put_blob(pieces(), expected)
    assert (blob.digest, blob.size) == (expected, 300_000)
    assert Digest.of(await read(repository, blob), "sha512") == expected


async def test_bytes_with_another_digest_are_not_stored(registry: Registry) -> None:
    repository = registry.repository("a")
    claimed = Digest.of(b"something else")
    with pytest.raises(DigestInvalid):
        await repository.put_blob(b"x", claimed)
    for digest in (claimed, Digest.of(b"x")):
        with pytest.raises(BlobUnknown):
            await repository.blob(digest)


async def test_one_digest_is_stored_once_and_held_by_each_repository(registry: Registry) -> None:
    first, second = registry.repository("a"), registry.repository("b")
    blob = await first.put_blob(b"shared")
    with pytest.raises(BlobUnknown):
        await second.blob(blob.digest)
    assert await second.put_blob(b"shared") == blob
    assert await second.blob(blob.digest) == blob


async def test_a_mount_links_what_the_source_holds(registry: Registry) -> None:
    source, target = registry.repository("a"), registry.repository("b")
    blob = await source.put_blob(b"shared")
    assert await target.mount_blob(blob.digest, "a") == blob
    assert await target.mount_blob(Digest.of(b"absent"), "a") is None
    assert await target.mount_blob(blob.digest, "nowhere") is None


async def test_deleting_a_blob_takes_it_from_one_repository(registry: Registry) -> None:
    first, second = registry.repository("a"), registry.repository("b")
    blob = await first.put_blob(b"shared")
    await second.mount_blob(blob.digest, "a")
    await first.delete_blob(blob.digest)
    with pytest.raises(BlobUnknown, match="repository a holds no blob"):
        await first.blob(blob.digest)
    assert await read(second, await second.blob(blob.digest)) == b"shared"


async def test_what_a_manifest_names_cannot_be_deleted(registry: Registry) -> None:
    repository = registry.repository("a")
    digest = await push_image(repository, b"layer", "latest")
    with pytest.raises(ContentInUse, match=digest):
        await repository.delete_blob(Digest.of(b"layer"))
    await repository.delete_manifest(digest)
    await repository.delete_blob(Digest.of(b"layer"))
    assert await repository.tags() == []


async def test_deleting_a_tag_leaves_the_manifest(registry: Registry) -> None:
    repository = registry.repository("a")
    digest = await push_image(repository, b"layer", "one", "two")
    await repository.delete_tag("one")
    assert await repository.tags() == ["two"]
    assert (await repository.manifest(digest)).digest == digest
    with pytest.raises(ManifestUnknown, match="one"):
        await repository.delete_tag("one")


async def test_a_manifest_may_name_only_what_its_repository_holds(registry: Registry) -> None:
    elsewhere = registry.repository("b")
    blobs = [await elsewhere.put_blob(each) for each in (b"{}", b"layer")]
    with pytest.raises(ManifestBlobUnknown) as raised:
        await registry.repository("a").put_manifest(image_manifest(blobs[0], blobs[1:]))
    assert raised.value.missing == tuple(blob.digest for blob in blobs)


async def test_a_size_that_is_not_the_blobs_is_refused(registry: Registry) -> None:
    repository = registry.repository("a")
    config = await repository.put_blob(b"{}")
    wrong = BlobInfo(config.digest, 3, config.location)
    with pytest.raises(ManifestInvalid, match="2 bytes"):
        await repository.put_manifest(image_manifest(wrong, []))


async def test_nothing_is_stored_of_a_manifest_that_is_refused(registry: Registry) -> None:
    repository = registry.repository("a")
    await push_image(repository, b"layer", "latest")
    config = await repository.put_blob(b"{}")
    absent = BlobInfo(Digest.of(b"absent"), 6, "")
    before = await stored_manifests(registry)
    for payload, tag, error in (
        (image_manifest(config, [absent]), "new", ManifestBlobUnknown),
        (image_manifest(replace(config, size=3), []), "new", ManifestInvalid),
        (image_index([descriptor(absent, media_types.OCI_MANIFEST)]), "new", ManifestBlobUnknown),
        (image_manifest(config, []), "latest", TagExists),
    ):
        with pytest.raises(error):
            await repository.put_manifest(payload, tags=[tag], may_move_tags=False)
    assert await stored_manifests(registry) == before


async def test_bytes_of_a_manifest_that_is_refused_after_all_are_given_up(
    tmp_path: Path,
) -> None:
    """The layer goes between the first look and the transaction that decides."""

    class Slow(DelegatingDriver):
        async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
            stored = await self.inner.put_blob(blob_id, data, mark)
            if mark is not None and mark.kind is BlobKind.MANIFEST:
                await repository.delete_blob(config.digest)
            return stored

    driver = Slow(open_driver("filesystem", {"rootdirectory": str(tmp_path)}))
    url, policy = f"sqlite:///{tmp_path}/catalog.sqlite", StorePolicy(garbage_delay=0)
    async with await Registry.open(driver, catalog_url=url, policy=policy) as registry:
        repository = registry.repository("a")
        config = await repository.put_blob(b"{}")
        with pytest.raises(ManifestBlobUnknown):
            await repository.put_manifest(image_manifest(config, []))
    async with await Registry.open(driver, catalog_url=url, policy=policy) as registry:
        await registry.janitor().tick()
        assert await stored_manifests(registry) == []


async def stored_manifests(registry: Registry) -> list[str]:
    return [blob.location async for blob in registry.driver.list_blobs(BlobKind.MANIFEST)]


@pytest.mark.parametrize("size", [100, 200_000])
async def test_a_manifest_of_any_size_is_understood(registry: Registry, size: int) -> None:
    repository = registry.repository("a")
    config = await repository.put_blob(b"{}")
    payload = image_manifest(config, [], annotations={"text": "x" * size})
    pushed = await repository.put_manifest(payload)
    assert (await repository.manifest(pushed.digest)).payload == payload
    with pytest.raises(ManifestInvalid, match="not JSON"):
        await repository.put_manifest(payload[:-1])


async def test_a_manifest_has_the_digest_it_is_pushed_by(registry: Registry) -> None:
    repository = registry.repository("a")
    config = await repository.put_blob(b"{}")
    payload = image_manifest(config, [])
    with pytest.raises(DigestInvalid):
        await repository.put_manifest(payload, digest=Digest.of(b"another"))
    expected = Digest.of(payload, "sha512")
    assert (await repository.put_manifest(payload, digest=expected)).digest == expected
    assert (await repository.manifest(expected)).payload == payload


async def test_tags_move_unless_they_may_not(registry: Registry) -> None:
    repository = registry.repository("a")
    first = await push_image(repository, b"1", "latest")
    config = await repository.put_blob(b"{}")
    second = image_manifest(config, [])
    with pytest.raises(TagExists):
        await repository.put_manifest(second, tags=["new", "latest"], may_move_tags=False)
    assert await repository.tags() == ["latest"]
    assert (await repository.manifest("latest")).digest == first
    await repository.put_manifest(second, tags=["latest"])
    assert (await repository.manifest("latest")).payload == second


async def test_an_index_needs_its_children(registry: Registry) -> None:
    repository = registry.repository("a")
    digest = await push_image(repository, b"layer")
    size = len((await repository.manifest(digest)).payload)
    child = {"mediaType": media_types.OCI_MANIFEST, "digest": digest, "size": size}
    index = await repository.put_manifest(image_index([child]), tags=["multi"])
    with pytest.raises(ContentInUse, match=index.digest):
        await repository.delete_manifest(digest)
    absent = {**child, "digest": Digest.of(b"absent")}
    with pytest.raises(ManifestBlobUnknown):
        await repository.put_manifest(image_index([absent]))


async def test_referrers_are_found_by_their_subject(registry: Registry) -> None:
    repository = registry.repository("a")
    config = await repository.put_blob(b"{}")
    subject = await repository.put_manifest(image_manifest(config, []))
    described = descriptor(subject, subject.media_type)
    for kind in ("x/one", "x/two"):
        payload = image_manifest(
            config, [], artifact_type=kind, subject=described, annotations={"kind": kind}
        )
        pushed = await repository.put_manifest(payload)
        assert pushed.subject == subject.digest
    found = await repository.referrers(subject.digest)
    assert sorted(each.artifact_type or "" for each in found) == ["x/one", "x/two"]
    (two,) = await repository.referrers(subject.digest, artifact_type="x/two")
    assert two.annotations == {"kind": "x/two"}
    assert await repository.referrers(Digest.of(b"nothing")) == []


async def test_what_is_malformed_is_refused_by_name(registry: Registry) -> None:
    with pytest.raises(NameInvalid):
        registry.repository("Not/A/Name")
    repository = registry.repository("a")
    config = await repository.put_blob(b"{}")
    with pytest.raises(TagInvalid):
        await repository.put_manifest(image_manifest(config, []), tags=["-x"])
    with pytest.raises(ManifestTooLarge, match="4194304 are allowed"):
        await repository.put_manifest(b" " * (4 * 1024 * 1024 + 1))
    with pytest.raises(RepositoryUnknown):
        await registry.repository("nowhere").tags()


async def test_a_read_only_store_serves_and_refuses_every_change(tmp_path: Path) -> None:
    settings = {"rootdirectory": str(tmp_path)}
    async with await Registry.open("filesystem", settings) as registry:
        digest = await push_image(registry.repository("a"), b"layer", "latest")
    async with await Registry.open(
        "filesystem", settings, policy=StorePolicy(read_only=True)
    ) as registry:
        repository = registry.repository("a")
        assert (await repository.promise_manifest("latest")).digest == digest
        blob = await repository.promise_blob(Digest.of(b"layer"))
        assert await read(repository, blob) == b"layer"
        for change in (
            repository.put_blob(b"x"),
            repository.begin_upload(),
            repository.delete_tag("latest"),
            repository.delete_manifest(digest),
            repository.delete_blob(blob.digest),
            repository.mount_blob(blob.digest, "a"),
            repository.put_manifest(b"{}"),
        ):
            with pytest.raises(ReadOnlyStore):
                await change


async def test_a_store_survives_being_closed(tmp_path: Path) -> None:
    settings = {"rootdirectory": str(tmp_path)}
    async with await Registry.open("filesystem", settings) as registry:
        digest = await push_image(registry.repository("a"), b"layer", "latest")
    async with await Registry.open("filesystem", settings) as registry:
        assert (await registry.repository("a").manifest("latest")).digest == digest


async def test_the_memory_driver_refuses_a_catalog_that_would_outlive_it() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"catalog\.url"):
        await Registry.open("memory", catalog_url="sqlite:////nowhere/catalog.sqlite")


def test_the_same_without_an_event_loop(tmp_path: Path) -> None:
    with sync.open_registry("filesystem", {"rootdirectory": str(tmp_path)}) as registry:
        repository = registry.repository("team/app")
        config, layer = repository.put_blob(b"{}"), repository.put_blob(b"layer")
        repository.put_manifest(image_manifest(config, [layer]), tags=["latest"])
        assert registry.repositories() == ["team/app"]
        assert b"".join(repository.read_blob(layer, 1, 3)) == b"ay"
        with pytest.raises(ManifestUnknown):
            repository.manifest("absent")


def test_a_large_blob_may_come_in_pieces_without_an_event_loop() -> None:
    with sync.open_registry("memory") as registry:
        repository = registry.repository("a")
        blob = repository.put_blob(bytes(100_000) for _ in range(200))
        assert (blob.size, blob.digest) == (20_000_000, Digest.of(bytes(20_000_000)))

        def broken() -> Iterator[bytes]:
            yield b"x"
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="the disk is gone"):
            repository.put_blob(broken())


def test_a_store_that_fails_to_close_leaves_no_thread() -> None:
    class Stuck(DelegatingDriver):
        async def close(self) -> None:
            raise DriverUnavailable("not now")

    registry = sync.open_registry(Stuck(open_driver("memory", {})))
    assert event_loops() == ["registry"]
    with pytest.raises(DriverUnavailable):
        registry.close()
    assert event_loops() == []


async def test_who_pushed_a_blob_is_in_its_event(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    async with await Registry.open(
        "filesystem", {"rootdirectory": str(tmp_path)}, catalog_url=url
    ) as registry:
        await registry.repository("a").put_blob(b"x", actor="alice")
    catalog = await Catalog.open(url)
    await catalog.write(events.number)
    found = await catalog.read(events.after, 0, 10)
    assert [(event.kind, event.repository, event.actor) for event in found] == [
        ("repository.created", "a", "alice"),
        ("blob.linked", "a", "alice"),
    ]
    await catalog.close()


def test_a_store_that_cannot_open_leaves_no_thread(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid):
        sync.open_registry("filesystem", {"rootdirectry": str(tmp_path)})
    assert event_loops() == []


def event_loops() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "registry"]
