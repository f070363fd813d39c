"""Pulls are counted in memory and written down from time to time, and at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from registry_storage import Registry, StorePolicy, image_manifest, pull_counter
from registry_storage.catalog import Catalog
from registry_storage.errors import CatalogUnavailable
from registry_storage.pull_counter import PullCounter


async def opened(directory: Path, **policy: bool) -> Registry:
    settings = {"rootdirectory": str(directory)}
    return await Registry.open("filesystem", settings, policy=StorePolicy(**policy))  # type: ignore


async def push(registry: Registry) -> None:
    repository = registry.repository("team/app")
    config = await repository.put_blob(b"{}")
    await repository.put_manifest(image_manifest(config, []), tags=["v1"])


async def pulls(registry: Registry) -> int:
    facts = await registry.facts("team/app")
    assert facts is not None
    return facts.pulls


async def test_what_was_counted_is_written_down_at_the_end(tmp_path: Path) -> None:
    async with await opened(tmp_path) as registry:
        await push(registry)
        for _ in range(3):
            registry.repository("team/app").count_pull("v1")
        assert await pulls(registry) == 0
    async with await opened(tmp_path) as registry:
        assert await pulls(registry) == 3


async def test_what_was_counted_is_written_down_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_counter, "INTERVAL", 0.01)
    async with await opened(tmp_path) as registry:
        await push(registry)
        registry.repository("team/app").count_pull("v1")
        async with asyncio.timeout(10):
            while (found := await pulls(registry)) != 1:
                assert found == 0
                await asyncio.sleep(0.01)


async def test_a_store_that_is_read_only_writes_nothing_down(tmp_path: Path) -> None:
    async with await opened(tmp_path) as registry:
        await push(registry)
    async with await opened(tmp_path, read_only=True) as registry:
        registry.repository("team/app").count_pull("v1")
    async with await opened(tmp_path) as registry:
        assert await pulls(registry) == 0


async def test_what_the_catalog_does_not_take_is_counted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await opened(tmp_path) as registry:
        await push(registry)
    catalog = await Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite")
    counter = PullCounter(catalog)
    counter.count("team/app", "v1")

    async def fail(*_: object) -> None:
        counter.count("team/app", "v1")
        raise CatalogUnavailable("away")

    with monkeypatch.context() as away:
        away.setattr(catalog, "write_unflushed", fail)
        await counter.flush()
    await counter.flush()
    await catalog.close()
    async with await opened(tmp_path) as registry:
        assert await pulls(registry) == 2
