"""The hub's database on each kind of database, and whole servers with `auth: hub`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

from registry_server.app import open_halves, start
from registry_server.hub.database import SCHEMA
from registry_server.hub.service import Hub
from registry_server.settings import Settings
from registry_storage.databases import Database
from tests.services.postgres import PostgresServer

DATABASES = ("sqlite", "postgresql")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def hub_template(postgres_server: PostgresServer) -> Callable[[], str]:
    """The name of a database with the hub's tables: quick to copy."""

    @cache
    def make() -> str:
        name = postgres_server.create_database()
        asyncio.run(_migrate(postgres_server.url(name)))
        return name

    return make


async def _migrate(url: str) -> None:
    await (await Database.open_with(url, SCHEMA)).close()


@pytest.fixture(params=DATABASES)
def hub_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty hub's database, on each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/hub.sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template: Callable[[], str] = request.getfixturevalue("hub_template")
    name = server.create_database(template=template())
    yield server.url(name) + "?pool_size=4"
    server.drop_database(name)


@pytest.fixture
async def hub_database(hub_database_url: str) -> AsyncIterator[Database]:
    """A hub's empty database, on each kind in turn."""
    opened = await Database.open_with(hub_database_url, SCHEMA)
    yield opened
    await opened.close()


@dataclass(frozen=True, slots=True)
class Served:
    """A running server, and the hub behind it, opened a second time."""

    url: str
    settings: Settings
    hub: Hub
    client: aiohttp.ClientSession


def hub_settings(directory: Path, **sections: Any) -> Settings:
    """`auth: hub` with everything in one directory; `sections` add to the configuration."""
    document: dict[str, Any] = {
        "storage": {
            "driver": "filesystem",
            "parameters": {"rootdirectory": str(directory / "storage")},
        },
        "auth": {"hub": {}},
        "data": {"directory": str(directory)},
        "log": {"accesslog": {"disabled": True}},
        "http": {"draintimeout": 5},
    }
    return Settings.model_validate(document | sections)


@pytest.fixture
async def serve_hub(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Start servers by `hub_settings`; all are drained at the end."""
    async with AsyncExitStack() as stack:

        async def serve(**sections: Any) -> Served:
            settings = hub_settings(tmp_path, **sections)
            listener = socket.create_server(("127.0.0.1", 0))
            running = await start(settings, [listener])
            stack.push_async_callback(running.drain)
            _, hub = await open_halves(settings, stack)
            assert hub is not None
            client = await stack.enter_async_context(aiohttp.ClientSession())
            port = listener.getsockname()[1]
            return Served(f"http://127.0.0.1:{port}", settings, hub, client)

        yield serve


@pytest.fixture
async def served(serve_hub: Callable[..., Any]) -> Served:
    """A server with `auth: hub` and nothing else configured."""
    found: Served = await serve_hub()
    return found
