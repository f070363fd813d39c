"""Whose store is it: copies, restores, foreign trees and adoption."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_storage import Readiness, Registry
from registry_storage.catalog import Catalog, ownership
from registry_storage.drivers.api import BlobKind, Buffers, Driver, Mark, StoredBlob
from registry_storage.drivers.wrappers.base import DelegatingDriver
from registry_storage.errors import StoreMismatch
from registry_storage.ownership import Ownership
from registry_storage.plugins import open_driver

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def url(directory: Path, name: str = "catalog") -> str:
    return f"sqlite:///{directory / name}.sqlite"


class Node:
    """A node's view of a store: the driver's root, and a catalog."""

    def __init__(self, root: Path, catalog: str) -> None:
        self.driver = open_driver("filesystem", {"rootdirectory": str(root)})
        self._catalog_url = catalog

    async def __aenter__(self) -> Node:
        await self.driver.start()
        self.catalog = await Catalog.open(self._catalog_url)
        self.ownership = Ownership(self.driver, self.catalog)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.catalog.close()
        await self.driver.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


async def test_a_new_store_is_claimed_once_and_for_all(root: Path, tmp_path: Path) -> None:
    for _ in range(2):
        async with Node(root, url(tmp_path)) as node:
            await node.ownership.verify()
            assert await node.ownership.owns()


async def test_two_nodes_may_claim_a_new_store_together(root: Path, tmp_path: Path) -> None:
    async with Node(root, url(tmp_path)) as one, Node(root, url(tmp_path)) as two:
        await one.ownership.verify()
        await two.ownership.verify()
        assert await one.ownership.owns()
        assert await two.ownership.owns()


async def test_an_empty_catalog_does_not_own_a_store_with_images(
    root: Path, tmp_path: Path
) -> None:
    async with Node(root, url(tmp_path)) as node:
        await node.ownership.verify()
    async with Node(root, url(tmp_path, "empty")) as node:
        with pytest.raises(StoreMismatch, match="registry-server adopt"):
            await node.ownership.verify()


async def test_a_distribution_tree_is_recognised(root: Path, tmp_path: Path) -> None:
    (root / "docker/registry/v2/blobs").mkdir(parents=True)
    async with Node(root, url(tmp_path)) as node:
        with pytest.raises(StoreMismatch, match="a distribution tree"):
            await node.ownership.verify()


async def test_a_catalog_does_not_own_an_empty_store(root: Path, tmp_path: Path) -> None:
    async with Node(root, url(tmp_path)) as node:
        await node.ownership.verify()
    async with Node(tmp_path / "another", url(tmp_path)) as node:
        with pytest.raises(StoreMismatch, match="no marker"):
            await node.ownership.verify()


async def test_a_copied_catalog_loses_the_store_with_the_next_term(
    root: Path, tmp_path: Path
) -> None:
    async with Node(root, url(tmp_path)) as node:
        await node.ownership.verify()
    shutil.copy(tmp_path / "catalog.sqlite", tmp_path / "copy.sqlite")
    async with Node(root, url(tmp_path)) as original, Node(root, url(tmp_path, "copy")) as copy:
        await original.ownership.begin_term()
        assert await original.ownership.owns()
        assert not await copy.ownership.owns()
        await copy.ownership.begin_term()
        assert await original.ownership.owns(), "a copy must not take the store over"
        with pytest.raises(StoreMismatch, match="another catalog owns this store"):
            await copy.ownership.verify()


async def test_a_store_copied_whole_is_another_store_from_its_first_term_on(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    async with Node(here, url(here)) as node:
        await node.ownership.verify()
    shutil.copytree(here, there)
    for root in (here, there):
        async with Node(root, url(root)) as node:
            await node.ownership.verify()
            await node.ownership.begin_term()
            assert await node.ownership.owns()
    for root, other in ((here, there), (there, here)):
        async with Node(root, url(other)) as mixed_up:
            with pytest.raises(StoreMismatch, match="another catalog owns this store"):
                await mixed_up.ownership.verify()


async def test_adoption_moves_the_store_to_the_catalog_that_asks(
    root: Path, tmp_path: Path
) -> None:
    async with Node(root, url(tmp_path)) as old, Node(root, url(tmp_path, "new")) as new:
        await old.ownership.verify()
        await new.ownership.adopt()
        await new.ownership.verify()
        assert not await old.ownership.owns()
        row = await new.catalog.read(ownership.read)
        assert row is not None
        assert row.adopted_at is not None


@pytest.mark.parametrize("write_marker", [False, True], ids=["before the marker", "after it"])
async def test_a_term_that_died_half_way_is_taken_up(
    root: Path, tmp_path: Path, write_marker: bool
) -> None:
    async with Node(root, url(tmp_path)) as node:
        await node.ownership.verify()
        await node.catalog.write(ownership.draw_next, "a" * 32)
        if write_marker:
            await _write_marker_only(node)
    async with Node(root, url(tmp_path)) as node:
        await node.ownership.verify()
        await node.ownership.begin_term()
        assert await node.ownership.owns()


async def _write_marker_only(node: Node) -> None:
    write, node.catalog.write = node.catalog.write, _nothing  # type: ignore[method-assign]
    row = await node.catalog.read(ownership.read)
    assert row is not None
    await node.ownership._confirm(row)
    node.catalog.write = write  # type: ignore[method-assign]


async def _nothing(*_args: object) -> bool:
    return True


class Meddled(DelegatingDriver):
    """Whenever markers are listed, another node begins a term just before, so many times."""

    def __init__(self, inner: Driver, other: Ownership, times: int) -> None:
        super().__init__(inner)
        self._other = other
        self._times = times

    async def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        if kind is BlobKind.MARKER and self._times:
            self._times -= 1
            await self._other.begin_term()
        async for blob in self.inner.list_blobs(kind):
            yield blob


async def test_a_term_that_begins_meanwhile_makes_nobody_a_stranger(
    root: Path, tmp_path: Path
) -> None:
    """A node or a command that starts just as the janitor's term does."""
    async with Node(root, url(tmp_path)) as node, Node(root, url(tmp_path)) as other:
        await other.ownership.verify()
        await Ownership(Meddled(node.driver, other.ownership, 1), node.catalog).verify()
        await Ownership(Meddled(node.driver, other.ownership, 3), node.catalog).verify()
        assert await Ownership(Meddled(node.driver, other.ownership, 2), node.catalog).owns()


class Timeless(DelegatingDriver):
    """Tells the same time for everything, lists in either order, and may fail to delete."""

    def __init__(self, inner: Driver, *, newest_first: bool) -> None:
        super().__init__(inner)
        self._written: list[str] = []
        self._newest_first = newest_first
        self.deletes = True

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        blob = await super().put_blob(blob_id, data, mark)
        self._written.append(blob.location)
        return replace(blob, stored_at=NOON)

    async def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        found = [blob async for blob in self.inner.list_blobs(kind)]
        found.sort(key=lambda blob: self._written.index(blob.location), reverse=self._newest_first)
        for blob in found:
            yield replace(blob, stored_at=NOON)

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        if self.deletes:
            await super().delete_blobs(locations)


@pytest.mark.parametrize("newest_first", [False, True])
async def test_the_latest_of_several_terms_in_one_second_counts(
    root: Path, tmp_path: Path, newest_first: bool
) -> None:
    """The older markers stay: whoever should have dropped them died."""
    async with Node(root, url(tmp_path)) as node:
        driver = Timeless(node.driver, newest_first=newest_first)
        driver.deletes = False
        bond = Ownership(driver, node.catalog)
        await bond.verify()
        for terms in range(2, 12):
            await bond.begin_term()
            assert len([marker async for marker in driver.list_blobs(BlobKind.MARKER)]) == terms
            assert await bond.owns()
        driver.deletes = True
        await bond.begin_term()
        assert len([marker async for marker in driver.list_blobs(BlobKind.MARKER)]) == 1
        await bond.verify()


@pytest.mark.parametrize("newest_first", [False, True])
async def test_an_adoption_counts_though_older_markers_of_that_second_stay(
    root: Path, tmp_path: Path, newest_first: bool
) -> None:
    async with Node(root, url(tmp_path)) as old, Node(root, url(tmp_path, "new")) as new:
        driver = Timeless(old.driver, newest_first=newest_first)
        before, after = Ownership(driver, old.catalog), Ownership(driver, new.catalog)
        await before.verify()
        for _ in range(3):
            await before.begin_term()
        driver.deletes = False
        await after.adopt()
        assert await after.owns()
        assert not await before.owns()


async def test_a_first_start_that_died_before_its_marker_is_taken_up(
    root: Path, tmp_path: Path
) -> None:
    async with Node(root, url(tmp_path)) as node:
        await node.catalog.write(ownership.create, "b" * 32, "c" * 32)
        await node.ownership.verify()
        assert await node.ownership.owns()


async def test_a_node_that_lost_the_store_says_so_when_checked(root: Path) -> None:
    settings = {"rootdirectory": str(root)}
    async with await Registry.open("filesystem", settings) as registry:
        assert await registry.check() == Readiness()
        await Registry.adopt("filesystem", settings, catalog_url=url(root, "other"))
        found = await registry.check()
        assert found.problems == ()
        assert "nothing is deleted" in found.notices[0]
