"""Both halves together: what the registry half does with what the hub says."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from registry_server.hub.records.audit import OPERATOR
from registry_server.hub.roles import Limit, Role
from registry_storage import Visibility
from tests.hub.tokens.clients import MANIFEST, Client, access
from tests.hub.tokens.conftest import World
from tests.services.tokens import Signer

DIGEST_OF_NOTHING = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
MakeWorld = Callable[..., Any]


# Pushing and pulling


async def test_a_push_makes_a_private_repository_in_ones_own_namespace(world: World) -> None:
    ann = world.client("ann")
    assert (await ann.push("ann/new/deep/name")).status == 201
    assert (await ann.pull("ann/new/deep/name")).status == 200
    assert await world.hub.registry.visibility("ann/new/deep/name") is Visibility.PRIVATE
    for other in (world.client(), world.client("bob"), world.robot):
        assert (await other.pull("ann/new/deep/name")).status == 401


@pytest.mark.parametrize("name", ["bob/new", "team2/new", "single", "nobody/x"])
async def test_nobody_pushes_elsewhere(world: World, name: str) -> None:
    answer = await world.client("ann").push(name)
    assert answer.status == 401
    assert 'error="insufficient_scope"' in answer.challenge
    assert await world.hub.registry.visibility(name) is None


async def test_roles_in_an_organisation(world: World) -> None:
    assert (await world.robot.push("team/secret")).status == 201
    assert (await world.client("bob").pull("team/secret")).status == 200
    assert (await world.client("bob").push("team/secret")).status == 401
    assert (await world.client("root").push("team/secret", "two")).status == 201
    assert (await world.client().pull("team/secret")).status == 401


async def test_a_public_repository_is_pulled_without_a_login_and_pushed_with_one(
    world: World,
) -> None:
    assert (await world.client("ann").push("ann/open")).status == 201
    assert (await world.client().pull("ann/open")).status == 200
    assert (await world.client().push("ann/open")).status == 401
    assert (await world.client("bob").push("ann/open")).status == 401


async def test_deleting_takes_more_than_pushing(world: World) -> None:
    await world.robot.push("team/secret")
    target = "/v2/team/secret/manifests/latest"
    for client, status in ((world.robot, 401), (world.client("ann"), 202)):
        bearer = await client.bearer("repository:team/secret:delete")
        assert (await client.send("DELETE", target, Authorization=bearer)).status == status


async def test_a_mount_reads_only_what_the_token_may(world: World) -> None:
    """Else the blobs of a private repository are anybody's who knows a digest."""
    await world.client("bob").push("bob/secret")
    await world.client("ann").push("ann/secret")
    ann = world.client("ann")
    digest = (await ann.pull("ann/secret")).json()["config"]["digest"]
    for source, status in (("ann/secret", 201), ("bob/secret", 202)):
        scopes = ("repository:ann/new:pull,push", f"repository:{source}:pull")
        bearer = await ann.bearer(*scopes)
        target = f"/v2/ann/new/blobs/uploads/?mount={digest}&from={source}"
        answer = await ann.send("POST", target, data=b"", Authorization=bearer)
        assert answer.status == status, source


# The catalog


async def test_the_catalog_shows_what_one_may_read(world: World) -> None:
    root = world.client("root")
    for name in ("ann/secret", "ann/open", "team/secret", "team/open", "bob/secret", "single"):
        assert (await root.push(name)).status == 201
    open_ones = ["ann/open", "team/open"]
    narrowed = await world.access_token(world.ann, Limit("ann/**", Role.READ))
    for client, shown in (
        (world.client(), open_ones),
        (world.client("ann"), ["ann/secret", *open_ones, "team/secret"]),
        (world.client("bob"), ["bob/secret", *open_ones, "team/secret"]),
        (world.robot, [*open_ones, "team/secret"]),
        (narrowed, ["ann/secret", *open_ones]),
        (root, ["ann/secret", "bob/secret", "single", *open_ones, "team/secret"]),
    ):
        assert await client.catalog() == sorted(shown), client.name


async def test_the_catalog_has_pages(world: World) -> None:
    for number in range(3):
        await world.client("ann").push(f"ann/{number}")
    await world.client("bob").push("bob/secret")
    bearer = await world.client("ann").bearer("registry:catalog:*")
    first = await world.client().send("GET", "/v2/_catalog?n=2", Authorization=bearer)
    assert first.json() == {"repositories": ["ann/0", "ann/1"]}
    target = first.headers["link"].partition(">")[0].lstrip("<")
    second = await world.client().send("GET", target, Authorization=bearer)
    assert second.json() == {"repositories": ["ann/2"]}
    assert "link" not in second.headers


async def test_the_catalog_takes_a_token_for_it(world: World) -> None:
    bearer = await world.client("root").bearer("repository:ann/open:pull")
    answer = await world.client().send("GET", "/v2/_catalog", Authorization=bearer)
    assert answer.status == 401
    assert 'scope="registry:catalog:*",error="insufficient_scope"' in answer.challenge


# Late uploads


def signed(world: World, subject: str, age: int) -> str:
    """A token to push to `ann/secret` that was issued `age` seconds ago, by the hub's key."""
    key, now = world.hub.keys.current(), int(time.time()) - age
    entry = {"type": "repository", "name": "ann/secret", "actions": ["pull", "push"]}
    return "Bearer " + Signer(key.private, key.algorithm, key.kid).sign(
        {
            "iss": "registry-hub",
            "sub": subject,
            "aud": "registry",
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": uuid.uuid4().hex,
            "access": [entry],
        }
    )


async def test_a_push_that_began_with_a_valid_token_may_end_an_hour_later(world: World) -> None:
    client = world.client("ann")

    async def send(method: str, target: str, token: str, data: bytes | None = None) -> Any:
        return await client.send(method, target, data=data, Authorization=token)

    started = await send("POST", "/v2/ann/secret/blobs/uploads/", signed(world, "ann", 0), b"")
    assert started.status == 202
    upload = started.headers["location"]
    late, others, too_late = [
        signed(world, name, age) for name, age in (("ann", 3000), ("bob", 3000), ("ann", 4000))
    ]
    assert (await send("GET", upload, late)).status == 204
    assert (await send("GET", upload, others)).status == 404
    assert (await send("GET", upload, too_late)).status == 401
    assert (await send("POST", "/v2/ann/secret/blobs/uploads/", late, b"")).status == 401
    assert (await send("GET", "/v2/ann/secret/tags/list", late)).status == 401
    end = f"{upload}?digest={DIGEST_OF_NOTHING}"
    assert (await send("PUT", end, too_late, b"")).status == 401
    assert (await send("PUT", end, late, b"")).status == 201


async def test_a_token_of_the_key_before_is_still_good(world: World) -> None:
    bearer = await world.client("ann").bearer("repository:ann/secret:pull")
    await world.client("ann").push("ann/secret")
    await world.hub.keys.rotate(OPERATOR)
    target = "/v2/ann/secret/tags/list"
    assert (await world.client().send("GET", target, Authorization=bearer)).status == 200


# Where tokens are got


async def challenge(client: Client, **headers: str) -> str:
    answer = await client.send("GET", "/v2/", **headers)
    assert answer.status == 401
    return answer.challenge


async def test_the_realm_is_where_the_client_came(world: World) -> None:
    url = world.served.url
    assert await challenge(world.client()) == f'Bearer realm="{url}/token",service="registry"'
    asked = await challenge(world.client(), Host="registry.example:5000")
    assert 'realm="http://registry.example:5000/token"' in asked
    proxied = await challenge(
        world.client(), X_Forwarded_Proto="https", X_Forwarded_Host="evil.example"
    )
    assert f'realm="{url}/token"' in proxied, "nobody's word but a trusted proxy's counts"


@pytest.mark.parametrize("host", ["a b", 'x"y', "x/y", "x,y"])
async def test_a_host_that_is_none_breaks_no_header(world: World, host: str) -> None:
    assert (await challenge(world.client(), Host=host)).count('"') == 4


async def test_the_realm_behind_a_trusted_proxy(make_world: MakeWorld) -> None:
    world = await make_world(http={"trustedproxies": ["127.0.0.0/8"], "draintimeout": 5})
    headers = {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "https"}
    asked = await challenge(world.client(), X_Forwarded_Host="registry.example", **headers)
    assert 'realm="https://registry.example/token"' in asked


async def test_the_realm_is_the_configured_url(make_world: MakeWorld) -> None:
    hub = {"url": "https://hub.example", "service": "images", "issuer": "the hub"}
    world = await make_world(auth={"hub": hub})
    asked = await challenge(world.client(), Host="registry.example")
    assert asked == 'Bearer realm="https://hub.example/token",service="images"'
    answer = await world.client("ann").send(
        "GET",
        "/token?service=images&scope=repository:ann/secret:pull",
        Authorization=world.client("ann").basic,
    )
    assert access(answer) == {"ann/secret": ["pull"]}
    token = answer.json()["token"]
    good = await world.client().send(
        "GET", "/v2/", Authorization=f"Bearer {token}", Accept=MANIFEST
    )
    assert good.status == 200


# Halves


async def test_the_hub_alone_serves_no_images(make_world: MakeWorld) -> None:
    world = await make_world(role="hub")
    for target in ("/v2/", "/v2/ann/open/tags/list", "/v2/_catalog"):
        assert (await world.client("root").send("GET", target)).status == 404
    assert access(await world.client("ann").get("repository:ann/open:pull"))
    assert (await world.client().send("GET", "/readyz")).status == 200
