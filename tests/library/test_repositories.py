"""Whole repositories through the facade: what becomes of the bytes of those that go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry_storage import (
    Actor,
    Change,
    Digest,
    Registry,
    StorePolicy,
    Usage,
    Visibility,
    image_manifest,
)
from registry_storage.errors import (
    NameInvalid,
    QuotaExceeded,
    ReadOnlyStore,
    RepositoryUnknown,
    UploadUnknown,
)

LARGE = 9 * 1024 * 1024
"""More than one request's body is held in memory for."""


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1024):
        yield b"x" * 1024


async def stored(registry: Registry) -> int:
    """How many blobs and uploads the driver has, but for the store's own marker."""
    blobs = [blob async for blob in registry.driver.list_blobs() if blob.mark is None]
    marked = [
        blob
        async for blob in registry.driver.list_blobs()
        if blob.mark is not None and blob.mark.kind.value in ("blob", "manifest")
    ]
    later = datetime.now(UTC) + timedelta(hours=1)
    uploads = [handle async for handle in registry.driver.list_uploads(later)]
    return len(blobs) + len(marked) + len(uploads)


async def events(registry: Registry) -> list[Change]:
    await registry.janitor().tick()
    return await registry.events(0)


async def test_the_bytes_of_a_deleted_repository_go() -> None:
    async with await Registry.open("memory", policy=StorePolicy(garbage_delay=0.0)) as registry:
        repository = registry.repository("team/app")
        config = await repository.put_blob(b"{}")
        layer = await repository.put_blob(pieces(LARGE))
        await repository.put_manifest(image_manifest(config, [layer]), tags=["v1"])
        upload = await repository.begin_upload()
        await repository.append_upload(upload.id, pieces(LARGE))
        assert await stored(registry) == 4
        await registry.delete_repository("team/app")
        with pytest.raises(UploadUnknown):
            await repository.finish_upload(upload.id, Digest.of(b""), pieces(0))
        assert await registry.facts("team/app") is None
        await registry.janitor().tick()
        assert await stored(registry) == 0


@pytest.mark.parametrize("size", [1024, LARGE])
async def test_the_bytes_of_a_blob_that_was_too_much_go(size: int) -> None:
    async with await Registry.open("memory", policy=StorePolicy(garbage_delay=0.0)) as registry:
        await registry.set_quota("team", max_bytes=size - 1, max_repositories=None)
        with pytest.raises(QuotaExceeded):
            await registry.repository("team/app").put_blob(pieces(size))
        assert await registry.usage("team") == Usage(0, 1)
        await _settle(registry)
        assert await stored(registry) == 0


async def _settle(registry: Registry) -> None:
    """Until what a refused request left behind has been given up."""
    await registry._store.uploads.close()
    await registry.janitor().tick()


async def test_who_changed_what_from_where_is_told(registry: Registry) -> None:
    ann = Actor("ann", "192.0.2.1")
    await registry.create_repository("team/app", visibility=Visibility.PUBLIC, actor=ann)
    await registry.rename("team/app", "team/new", actor=ann)
    await registry.set_visibility("team/new", Visibility.PRIVATE, actor=ann)
    await registry.set_quota("team", max_bytes=1, max_repositories=None, actor=ann)
    await registry.delete_repository("team/new", actor=ann)
    await registry.record("robot.made", None, {"robot": "ci"}, actor=ann)
    found = await events(registry)
    assert [change.kind for change in found] == [
        "repository.created",
        "repository.renamed",
        "repository.visibility",
        "namespace.changed",
        "repository.deleted",
        "robot.made",
    ]
    assert {(change.actor, change.origin) for change in found} == {("ann", "192.0.2.1")}
    assert await registry.last_event() == 6
    assert await registry.events(6) == []


async def test_names_must_be_names(registry: Registry) -> None:
    with pytest.raises(NameInvalid):
        await registry.create_repository("Team/App")
    await registry.create_repository("team/app")
    with pytest.raises(NameInvalid):
        await registry.rename("team/app", "../app")
    with pytest.raises(RepositoryUnknown):
        await registry.repository("team/other").tag_facts()


async def test_nothing_of_a_store_that_is_read_only_is_changed(tmp_path: Path) -> None:
    settings = {"rootdirectory": str(tmp_path)}
    await (await Registry.open("filesystem", settings)).close()
    policy = StorePolicy(read_only=True)
    async with await Registry.open("filesystem", settings, policy=policy) as registry:
        for change in (
            registry.create_repository("a"),
            registry.set_visibility("a", Visibility.PUBLIC),
            registry.rename("a", "b"),
            registry.delete_repository("a"),
            registry.set_quota("a", max_bytes=1, max_repositories=None),
            registry.record("kind", None, {}),
        ):
            with pytest.raises(ReadOnlyStore):
                await change
