"""Two worlds that differ only in what others keep private look alike to a stranger, byte for byte.

Left out: dates, ids of requests, and what is random in tokens and locations.  Names of accounts are
no secret, for they are unique: both worlds have the same.
"""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from registry_server.app import open_halves, start
from registry_server.hub.organisations import organisations
from registry_server.hub.records.audit import OPERATOR
from registry_server.hub.site import ROUTES
from registry_server.hub.web.policies import Concern
from tests.hub.conftest import hub_settings
from tests.hub.tokens.clients import Answer, Client
from tests.hub.tokens.conftest import PASSWORD

PRIVATE = "guild/secret"
DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
"""Of the private image's config."""
_RANDOM_HEADERS = ("date", "x-request-id", "docker-upload-uuid")
_OF_THE_MOMENT = {"jti", "iat", "nbf", "exp"}
_IDS = re.compile(rb"[0-9a-f]{32}|127\.0\.0\.1:\d+")


async def _open_world(directory: Path, stack: AsyncExitStack, *, has_secrets: bool) -> Client:
    """A stranger's client of a new world."""
    settings = hub_settings(directory)
    listener = socket.create_server(("127.0.0.1", 0))
    stack.push_async_callback((await start(settings, [listener])).drain)
    _, hub = await open_halves(settings, stack)
    assert hub is not None
    for name in ("stranger", "master", "friend"):
        await hub.accounts.users.create(OPERATOR, name, PASSWORD)
    master = await hub.accounts.users.find("master")
    await hub.database.write(organisations.create, OPERATOR, "guild", admin=master.id)
    session = await stack.enter_async_context(aiohttp.ClientSession())
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    stranger = Client(session, url, "stranger", PASSWORD)
    assert (await stranger.push("stranger/app")).status == 201
    if has_secrets:
        assert (await Client(session, url, "master", PASSWORD).push(PRIVATE)).status == 201
        await hub.database.write(organisations.put_member, OPERATOR, "guild", "friend", None)
        await hub.accounts.access_tokens.create(OPERATOR, master, "laptop")
    return stranger


@pytest.fixture
async def worlds(tmp_path: Path) -> AsyncIterator[tuple[Client, Client]]:
    async with AsyncExitStack() as stack:
        one = await _open_world(tmp_path / "one", stack, has_secrets=False)
        yield one, await _open_world(tmp_path / "two", stack, has_secrets=True)


REQUESTS = [
    ("GET", f"/v2/{PRIVATE}/tags/list"),
    ("GET", f"/v2/{PRIVATE}/manifests/latest"),
    ("HEAD", f"/v2/{PRIVATE}/manifests/latest"),
    ("GET", f"/v2/{PRIVATE}/blobs/{DIGEST}"),
    ("HEAD", f"/v2/{PRIVATE}/blobs/{DIGEST}"),
    ("GET", f"/v2/{PRIVATE}/referrers/{DIGEST}"),
    ("PUT", f"/v2/{PRIVATE}/manifests/latest"),
    ("DELETE", f"/v2/{PRIVATE}/manifests/latest"),
    ("DELETE", f"/v2/{PRIVATE}/blobs/{DIGEST}"),
    ("POST", f"/v2/{PRIVATE}/blobs/uploads/"),
    ("POST", f"/v2/stranger/new/blobs/uploads/?mount={DIGEST}&from={PRIVATE}"),
    ("GET", "/v2/_catalog"),
    ("GET", "/v2/_catalog?last=guild/a&n=1"),
]
SCOPES = (
    f"repository:{PRIVATE}:pull,push,delete",
    "repository:stranger/new:pull,push",
    "registry:catalog:*",
)


def _seen(answer: Answer) -> tuple[int, dict[str, bytes], bytes]:
    """What is the same in every world that looks the same."""
    headers = {
        name: _IDS.sub(b"*", value.encode())
        for name, value in answer.headers.items()
        if name not in _RANDOM_HEADERS
    }
    return answer.status, headers, _IDS.sub(b"*", answer.body)


async def test_the_worlds_differ_for_whom_the_secret_is(worlds: tuple[Client, Client]) -> None:
    masters = [Client(world.session, world.url, "master", PASSWORD) for world in worlds]
    assert [(await master.pull(PRIVATE)).status for master in masters] == [404, 200]


@pytest.mark.parametrize("who", ["stranger", ""])
async def test_the_registry_looks_the_same(worlds: tuple[Client, Client], who: str) -> None:
    for method, target in REQUESTS:
        seen = []
        for world in worlds:
            client = Client(world.session, world.url, who, world.secret if who else "")
            bearer = await client.bearer(*SCOPES)
            seen.append(_seen(await client.send(method, target, Authorization=bearer)))
        assert seen[0] == seen[1], (method, target)


@pytest.mark.parametrize("who", ["stranger", ""])
async def test_tokens_say_the_same(worlds: tuple[Client, Client], who: str) -> None:
    claims: list[dict[str, Any]] = []
    for world in worlds:
        client = Client(world.session, world.url, who, world.secret if who else "")
        token = (await client.get(*SCOPES)).json()["token"]
        found = jwt.decode(token, options={"verify_signature": False})
        claims.append(
            {name: found[name] for name in found if name not in ("jti", "iat", "nbf", "exp")}
        )
    assert claims[0] == claims[1]


@pytest.mark.parametrize("who", ["stranger", ""])
async def test_the_api_looks_the_same(worlds: tuple[Client, Client], who: str) -> None:
    values = {"namespace": "guild", "repository": PRIVATE.replace("/", "%2F"), "user": "friend"}
    concerns = (Concern.NAMESPACE, Concern.MEMBERSHIP, Concern.REPOSITORY, Concern.NOTHING)
    for route in ROUTES:
        if not route.path.startswith("/api/") or route.policy.concern not in concerns:
            continue
        target = route.path.format(**{name: values.get(name, "0") for name in route.parameters})
        seen = []
        for world in worlds:
            client = Client(world.session, world.url)
            more = {"Authorization": await _secret_of(world)} if who else {}
            answer = await client.send(
                route.method, target, data=b"{}", Content_Type="application/json", **more
            )
            seen.append(_without_moments(_seen(answer)))
        assert seen[0] == seen[1], (route.method, target)


def _without_moments(seen: tuple[int, dict[str, bytes], bytes]) -> tuple[Any, ...]:
    status, headers, body = seen
    moments = re.compile(rb'"\d{4}-\d\d-\d\dT[^"]*"')
    return status, {**headers, "content-length": b"*"}, moments.sub(b"*", body)


_SECRETS: dict[str, str] = {}


async def _secret_of(world: Client) -> str:
    """A stranger's access token, made once a world."""
    if world.url not in _SECRETS:
        login = {"name": "stranger", "password": PASSWORD}
        async with world.session.post(f"{world.url}/api/v1/session", json=login) as opened:
            csrf = (await opened.json())["csrf"]
            cookie = opened.cookies["session"].value
        async with world.session.post(
            f"{world.url}/api/v1/me/access-tokens",
            json={"name": "test"},
            headers={"X-CSRF-Token": csrf, "Cookie": f"session={cookie}"},
        ) as made:
            _SECRETS[world.url] = f"Bearer {(await made.json())['secret']}"
    return _SECRETS[world.url]
