"""What a client is told that asks too often, and that it need not ask in vain."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from registry_server.limits import FILE, RequestLimit, TooManyRequests, open_limits
from registry_server.limits.limiter import LoginLimit, TooManyLogins
from registry_server.limits.table import Table
from registry_server.settings import Settings
from registry_storage import Visibility
from tests.hub.conftest import Served

Serve = Callable[..., Awaitable[Served]]

CONFIG = b"{}"
NAME = "team/app"


def rates(**values: int) -> dict[str, Any]:
    return {"auth": {"hub": {"rates": values}}}


async def push_public(served: Served) -> str:
    """The digest of an image that everybody may pull."""
    repository = served.hub.registry.repository(NAME)
    config = (await repository.put_blob(CONFIG)).digest
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config,
            "size": len(CONFIG),
        },
        "layers": [],
    }
    pushed = await repository.put_manifest(
        json.dumps(document).encode(), document["mediaType"], tags=["latest"]
    )
    await served.hub.registry.set_visibility(NAME, Visibility.PUBLIC)
    return pushed.digest


async def token(served: Served, address: str) -> tuple[int, dict[str, str], Any]:
    query = {"service": "registry", "scope": f"repository:{NAME}:pull"}
    headers = {"X-Forwarded-For": address}
    async with served.client.get(f"{served.url}/token", params=query, headers=headers) as answer:
        return answer.status, dict(answer.headers), await answer.json()


async def pull(
    served: Served, bearer: str, address: str, *, method: str = "GET", reference: str = "latest"
) -> tuple[int, dict[str, str], bytes]:
    headers = {"X-Forwarded-For": address, "Authorization": f"Bearer {bearer}"}
    url = f"{served.url}/v2/{NAME}/manifests/{reference}"
    async with served.client.request(method, url, headers=headers) as answer:
        return answer.status, dict(answer.headers), await answer.read()


async def test_pulls_and_tokens_have_their_rates(serve_hub: Serve) -> None:
    proxies = {"http": {"trustedproxies": ["127.0.0.1/32"], "draintimeout": 5}}
    served = await serve_hub(**rates(tokens=3, pulls=2), **proxies)
    await push_public(served)
    bearer = ""
    for _ in range(3):
        status, _, document = await token(served, "192.0.2.1")
        assert status == 200
        bearer = document["token"]
    status, headers, document = await token(served, "192.0.2.1")
    assert status == 429
    assert 1 <= int(headers["Retry-After"]) <= 20
    assert document["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert (await token(served, "192.0.2.2"))[0] == 200

    for _ in range(3):
        assert (await pull(served, bearer, "192.0.2.1", method="HEAD"))[0] == 200
        assert (await pull(served, bearer, "192.0.2.1", reference="none"))[0] == 404
    for _ in range(2):
        assert (await pull(served, bearer, "192.0.2.1"))[0] == 200
    status, headers, body = await pull(served, bearer, "192.0.2.1")
    assert status == 429
    assert 1 <= int(headers["Retry-After"]) <= 30
    assert json.loads(body)["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert (await pull(served, bearer, "2001:db8::1"))[0] == 200


async def test_a_registry_that_counts_no_pulls_makes_no_limit(serve_hub: Serve) -> None:
    served = await serve_hub()
    assert served.hub.limits.pulls is None


async def test_no_file_is_made_where_nothing_is_counted(tmp_path: Path) -> None:
    storage = {"driver": "memory", "parameters": {}}
    settings = Settings.model_validate({"storage": storage, "data": {"directory": str(tmp_path)}})
    async with AsyncExitStack() as resources:
        open_limits(settings, resources)
    assert not (tmp_path / FILE).exists()


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_one_address_cannot_try_many_names() -> None:
    limit = LoginLimit(Table.of_process(), 20, Clock())
    for number in range(100):
        limit.charge("192.0.2.1", f"user{number}")
    with pytest.raises(TooManyLogins):
        limit.charge("192.0.2.1", "another")
    limit.charge("192.0.2.2", "another")


def test_who_has_an_account_cannot_clear_what_they_guessed() -> None:
    limit = LoginLimit(Table.of_process(), 20, Clock())
    for number in range(50):
        limit.charge("192.0.2.1", f"user{number}")
        limit.charge("192.0.2.1", "mallory")
        limit.forgive("192.0.2.1", "mallory")
    for number in range(50):
        limit.charge("192.0.2.1", f"other{number}")
    with pytest.raises(TooManyLogins):
        limit.charge("192.0.2.1", "another")


def test_loopback_stands_for_many_and_counts_with_a_name_only() -> None:
    limit = LoginLimit(Table.of_process(), 2, Clock())
    for number in range(100):
        limit.charge("127.0.0.1", f"user{number}")
    requests = RequestLimit(Table.of_process(), "pulls", 2, Clock())
    for _ in range(10):
        requests.charge("127.0.0.1")
    for _ in range(2):
        requests.charge("127.0.0.1", "ann")
    with pytest.raises(TooManyRequests, match="too many pulls; try again in 30 s"):
        requests.charge("127.0.0.1", "ann")


def test_of_ipv6_a_whole_network_is_one_client() -> None:
    clock = Clock()
    limit = RequestLimit(Table.of_process(), "tokens", 2, clock)
    limit.charge("2001:db8::1")
    limit.charge("2001:db8::ffff")
    with pytest.raises(TooManyRequests):
        limit.charge("2001:db8:0:0:1234::1")
    limit.charge("2001:db8:0:1::1")
    clock.now += 30
    limit.charge("2001:db8::1")


def test_a_user_has_one_rate_from_all_addresses() -> None:
    limit = RequestLimit(Table.of_process(), "tokens", 2, Clock())
    limit.charge("192.0.2.1", "ann")
    limit.charge("192.0.2.2", "ann")
    with pytest.raises(TooManyRequests):
        limit.charge("192.0.2.3", "ann")
    limit.charge("192.0.2.3", "bob")
