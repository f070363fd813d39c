"""The schema: what the migrations make is what the code expects, however often they are killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest
from sqlalchemy import text

from registry_storage.catalog import Catalog
from registry_storage.catalog.tables import metadata
from registry_storage.errors import CatalogError
from tests.catalog.samples import push
from tests.catalog.schemas import described, differences, remade


async def _set_revision(catalog_url: str, revision: str) -> None:
    catalog = await Catalog.open(catalog_url)
    statement = text("UPDATE alembic_version SET version_num = :revision")
    await catalog.write(lambda tx: tx.execute(statement, {"revision": revision}).rowcount)
    await catalog.close()


async def test_the_migrated_schema_is_the_code_s(catalog: Catalog) -> None:
    assert await catalog.read(differences, metadata) == []
    migrated = await catalog.read(described, metadata)
    assert await catalog.write(remade, metadata) == migrated


async def test_opening_again_changes_nothing(catalog_url: str) -> None:
    first = await Catalog.open(catalog_url)
    image = await push(first, "image", ["latest"])
    await first.close()
    second = await Catalog.open(catalog_url)
    assert await second.pulls.payload(image) == b"image"
    await second.close()


async def test_a_later_revision_of_the_same_generation_is_served(catalog_url: str) -> None:
    await _set_revision(catalog_url, "1_9999")
    catalog = await Catalog.open(catalog_url)
    await push(catalog, "image")
    await catalog.close()


async def test_a_newer_generation_is_refused(catalog_url: str) -> None:
    await _set_revision(catalog_url, "2_0001")
    with pytest.raises(CatalogError, match="schema 2_0001, and this version knows up to 1_"):
        await Catalog.open(catalog_url)


_KILLED_HALF_WAY = """
import asyncio, os, signal, sys
from sqlalchemy import Engine, event
from registry_storage.catalog import Catalog

@event.listens_for(Engine, "before_cursor_execute")
def die(_connection, _cursor, statement, *_):
    if "CREATE TABLE tags" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(Catalog.open(sys.argv[1]))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return sqlite_url
    url: str = request.getfixturevalue("postgres_url")
    return url


async def test_a_migration_that_was_killed_half_way_runs_again(empty_url: str) -> None:
    command = [sys.executable, "-c", _KILLED_HALF_WAY, empty_url]
    killed = await asyncio.to_thread(subprocess.run, command, check=False)
    assert killed.returncode == -signal.SIGKILL
    catalog = await Catalog.open(empty_url)
    assert await catalog.read(differences, metadata) == []
    await catalog.close()


def test_many_nodes_may_start_at_once(empty_url: str) -> None:
    command = [sys.executable, "-c", _OPEN, empty_url]
    nodes = [subprocess.Popen(command) for _ in range(3)]
    assert [node.wait(60) for node in nodes] == [0, 0, 0]


_OPEN = """
import asyncio, sys
from registry_storage.catalog import Catalog

asyncio.run(Catalog.open(sys.argv[1]))
"""
