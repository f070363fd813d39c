"""`GET /v2/_catalog` for somebody who may see few of very many repositories."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Connection, insert

from registry_server.api.catalog import LOOKED_AT
from registry_storage import sync
from registry_storage.catalog import Catalog
from registry_storage.catalog.tables import repositories
from tests.services.registry import RegistryServer

from . import access
from .access import Guarded
from .client import Answer, Client
from .conftest import Serve

MINE = ["frank/a", "frank/z"]
HIDDEN = 2 * LOOKED_AT + 100


@pytest.fixture(scope="module")
def guarded(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    directory = tmp_path_factory.mktemp("guarded")
    environment, htpasswd, policy = access.settings(directory)
    server = serve(environment, directory=directory)
    asyncio.run(_fill(server))
    return Guarded(server, htpasswd, policy)


async def _fill(server: RegistryServer) -> None:
    """Repositories in the order of the list: one of Frank's, very many others, one of Frank's."""
    names = [*MINE, *(f"frank/b/{number:06}" for number in range(HIDDEN))]
    catalog = await Catalog.open(f"sqlite:///{server.storage}/catalog.sqlite")

    def fill(tx: Connection) -> None:
        tx.execute(insert(repositories), [{"name": name, "listed": True} for name in names])

    await catalog.write(fill)
    await catalog.close()


@pytest.fixture
def frank(guarded: Guarded) -> Iterator[Client]:
    client = guarded.client("frank")
    yield client
    client.close()


def _next(answer: Answer) -> str | None:
    link = answer.header("Link")
    return link.partition(">")[0].lstrip("<") if link else None


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_no_request_looks_at_all_and_links_lead_to_the_end(frank: Client, n: int) -> None:
    target: str | None = f"/v2/_catalog?n={n}"
    seen: list[str] = []
    requests = 0
    while target is not None:
        answer = frank.get(target)
        requests += 1
        assert "frank/b" not in (answer.header("Link") or "")
        seen += answer.json()["repositories"]
        target = _next(answer)
    assert seen == MINE
    assert requests >= 3


def test_a_bookmark_that_is_gone_is_refused(frank: Client, guarded: Guarded) -> None:
    target = _next(frank.get("/v2/_catalog"))
    assert target is not None
    (last,) = parse_qs(urlsplit(target).query)["last"]
    settings = {"rootdirectory": str(guarded.server.storage)}
    with sync.open_registry("filesystem", settings) as registry:
        hidden = registry.name(int(last.removeprefix("~")))
        assert hidden is not None
        assert hidden.startswith("frank/b/")
        registry.delete_repository(hidden)
    assert frank.get(target).status == 400
    assert frank.get(f"/v2/_catalog?last={last}9").status == 400
