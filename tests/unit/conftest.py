"""A catalog on SQLite, and the two ways to hash."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from registry_storage import hashing
from registry_storage.catalog import Catalog


@pytest.fixture(scope="session")
def empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a catalog that was migrated and closed: quick to copy."""
    path = tmp_path_factory.mktemp("empty") / "catalog.sqlite"

    async def make() -> None:
        catalog = await Catalog.open(f"sqlite:///{path}")
        await catalog.checkpoint()
        await catalog.close()

    asyncio.run(make())
    return path


@pytest.fixture
async def catalog(tmp_path: Path, empty_catalog: Path) -> AsyncIterator[Catalog]:
    """An empty catalog."""
    shutil.copy(empty_catalog, tmp_path / "catalog.sqlite")
    opened = await Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite")
    yield opened
    await opened.close()


@pytest.fixture
def plain_hashlib(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hashes cannot be continued from their state."""
    with monkeypatch.context() as patch:
        patch.setenv(hashing.PLAIN_HASHLIB, "1")
        hashing.forget_libcrypto()
        yield
    hashing.forget_libcrypto()
