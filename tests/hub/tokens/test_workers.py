"""Several processes serve both halves: a token of one is good at all, and they share one key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import jwt
import pytest
import yaml

from tests.hub.tokens.clients import Client
from tests.services.hub_accounts import PASSWORD, create_user
from tests.services.postgres import PostgresServer
from tests.services.registry import RegistryServer

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The section `catalog`; the hub's tables lie beside it in PostgreSQL."""
    if request.param == "sqlite":
        yield {}
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    database = server.create_database()
    yield {"url": server.url(database)}
    server.drop_database(database)


@pytest.fixture
def server(tmp_path: Path, catalog: dict[str, str]) -> Iterator[RegistryServer]:
    made = RegistryServer(tmp_path, workers=3)
    document = {"data": {"directory": str(tmp_path)}, "auth": {"hub": {}}, "catalog": catalog}
    made.config = yaml.safe_dump(document)
    made.start()
    create_user(tmp_path / "config.yml", "ann")
    yield made
    made.stop()


async def test_every_worker_takes_what_another_gave(server: RegistryServer) -> None:
    """Each request goes over a connection of its own, so that the kernel shares them out."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        ann = Client(session, server.url, "ann", PASSWORD)
        assert (await ann.push("ann/app")).status == 201
        secret = (await ann.get(offline_token="true")).json()["refresh_token"]
        grant = {"grant_type": "refresh_token", "refresh_token": secret}
        scope = "repository:ann/app:pull"
        answers = await asyncio.gather(*(ann.post(scope=scope, **grant) for _ in range(30)))
        tokens = [answer.json()["token"] for answer in answers]
        assert len({jwt.get_unverified_header(token)["kid"] for token in tokens}) == 1
        pulls = await asyncio.gather(
            *(
                ann.send("GET", "/v2/ann/app/tags/list", Authorization=f"Bearer {token}")
                for token in tokens
            )
        )
        assert {answer.status for answer in pulls} == {200}
        shown = await asyncio.gather(
            *(ann.send("GET", "/.well-known/jwks.json") for _ in range(20))
        )
        assert len({answer.body for answer in shown}) == 1


def test_the_link_of_the_first_administrator_is_told_once(server: RegistryServer) -> None:
    assert server.log.read_text().count("/link/rgl_") == 1
