"""A catalog on each database: every test that asks for one runs on all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from registry_storage.catalog import Catalog
from tests.services.postgres import PostgresServer

DATABASES = ("sqlite", "postgresql", "postgresql-icu")


@pytest.fixture(scope="session")
def template(postgres_server: PostgresServer) -> Callable[[bool], str]:
    """The name of a migrated database that sorts like C, or (True) like people: quick to copy."""

    @cache
    def make(icu: bool) -> str:
        name = postgres_server.create_database(icu=icu)
        asyncio.run(_migrate(postgres_server.url(name)))
        return name

    return make


async def _migrate(url: str) -> None:
    await (await Catalog.open(url)).close()


@pytest.fixture(params=DATABASES)
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty catalog, on each database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/catalog.sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template: Callable[[bool], str] = request.getfixturevalue("template")
    name = server.create_database(
        template=template(request.param == "postgresql-icu"),
    )
    yield server.url(name) + "?pool_size=4"
    server.drop_database(name)


@pytest.fixture
async def catalog(catalog_url: str) -> AsyncIterator[Catalog]:
    """An empty catalog, on each database in turn."""
    opened = await Catalog.open(catalog_url)
    yield opened
    await opened.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite catalog that does not exist yet."""
    return f"sqlite:///{tmp_path}/catalog.sqlite"


@pytest.fixture
async def sqlite_catalog(sqlite_url: str) -> AsyncIterator[Catalog]:
    """An empty catalog on SQLite."""
    opened = await Catalog.open(sqlite_url)
    yield opened
    await opened.close()
