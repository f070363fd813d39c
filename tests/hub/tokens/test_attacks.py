"""What attackers do with tokens, against both halves together."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from registry_server.hub.accounts import passwords
from registry_server.hub.accounts.sessions import Browser
from registry_server.hub.tokens.keys import SigningKey, SigningKeys
from tests.hub.tokens.clients import Answer, access
from tests.hub.tokens.conftest import PASSWORD, World
from tests.services.tokens import Signer, encode

TARGET = "/v2/ann/secret/tags/list"
TEAM = "/api/v1/organisations/team"
ENTRY = {"type": "repository", "name": "ann/secret", "actions": ["pull"]}


@pytest.fixture
async def shared(world: World) -> World:
    """With an image in `ann/secret`."""
    assert (await world.client("ann").push("ann/secret")).status == 201
    return world


def key_of(world: World) -> SigningKey:
    return world.hub.keys.current()


def signer_of(world: World) -> Signer:
    """One that has the hub's own key."""
    key = key_of(world)
    return Signer(key.private, key.algorithm, key.kid)


def claims(**changed: Any) -> dict[str, Any]:
    """Those of a good token, changed; None leaves one out."""
    now = int(time.time())
    good = {
        "iss": "registry-hub",
        "sub": "ann",
        "aud": "registry",
        "exp": now + 300,
        "nbf": now - 10,
        "iat": now,
        "jti": uuid.uuid4().hex,
        "access": [ENTRY],
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


async def send(world: World, token: str, target: str = TARGET, method: str = "GET") -> Answer:
    return await world.client().send(method, target, Authorization=f"Bearer {token}")


async def assert_invalid(world: World, token: str) -> None:
    answer = await send(world, token)
    assert answer.status == 401, answer
    assert 'error="invalid_token"' in answer.challenge, answer


async def test_what_these_tests_forge_is_good_where_nothing_is_wrong(shared: World) -> None:
    assert (await send(shared, signer_of(shared).sign(claims()))).status == 200


# Signatures and keys


async def test_forged_signatures(shared: World) -> None:
    """Unsigned; signed with the public key as a secret; by another key under a trusted name."""
    kid = key_of(shared).kid
    public = key_of(shared).private.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hs256 = f"{encode({'typ': 'JWT', 'alg': 'HS256', 'kid': kid})}.{encode(claims())}"
    stranger = Signer.new(kid=kid)
    good = signer_of(shared).sign(claims()).split(".")
    raised = encode(claims(access=[ENTRY | {"actions": ["pull", "push", "delete"]}]))
    for token in (
        f"{encode({'alg': 'none', 'kid': kid})}.{encode(claims())}.",
        f"{encode({'alg': ['ES256', 'none'], 'kid': kid})}.{encode(claims())}.",
        f"{hs256}.{encode(hmac.digest(secret, hs256.encode(), 'sha256'))}",
        stranger.sign(claims()),
        Signer.new("ES384", kid).sign(claims()),
        Signer.new("EdDSA", kid).sign(claims()),
        f"{good[0]}.{raised}.{good[2]}",
        f"{good[0]}.{good[1]}.",
        f"{good[0]}.{good[1]}.{good[2][:-4]}AAAA",
    ):
        await assert_invalid(shared, token)


async def test_keys_that_a_token_brings(shared: World) -> None:
    kid = key_of(shared).kid
    stranger = Signer.new(kid=kid)
    for header in (
        {"jwk": stranger.jwk},
        {"jku": "http://127.0.0.1:1/jwks.json"},
        {"x5u": "http://127.0.0.1:1/chain.pem"},
        {"x5c": ["AAAA"]},
    ):
        await assert_invalid(shared, stranger.sign(claims(), **header))


@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "' OR 1=1 --", "x" * 5000, "", "\x00", None, 1, ["a"], {"kid": "a"}],
    ids=lambda kid: str(kid)[:12],
)
async def test_names_of_keys(shared: World, kid: object) -> None:
    await assert_invalid(shared, signer_of(shared).sign(claims(), kid=kid))


async def test_ten_thousand_unknown_keys_cause_no_more_than_a_look_a_second(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    refresh = SigningKeys.refresh

    async def counted(keys: SigningKeys) -> None:
        looks.append(time.monotonic())
        await refresh(keys)

    monkeypatch.setattr(SigningKeys, "refresh", counted)
    stranger, began = Signer.new(), time.monotonic()
    tokens = [stranger.sign(claims(), kid=f"key-{number}") for number in range(200)]
    answers = await asyncio.gather(*(send(shared, token) for token in tokens))
    assert {answer.status for answer in answers} == {401}
    assert len(looks) <= 1 + time.monotonic() - began


@pytest.mark.parametrize(
    "header",
    [{"crit": ["x"], "x": 1}, {"b64": False, "crit": ["b64"]}, {"zip": "DEF"}, {"enc": "A"}],
)
async def test_extensions(shared: World, header: dict[str, Any]) -> None:
    await assert_invalid(shared, signer_of(shared).sign(claims(), **header))


async def test_claims_that_are_wrong(shared: World) -> None:
    """Signed with the hub's own key, each with one fault."""
    now, signer = int(time.time()), signer_of(shared)
    faults: list[dict[str, Any]] = [
        {"exp": None},
        {"exp": now - 3700},
        {"exp": str(now + 300)},
        {"exp": True},
        {"nbf": now + 120},
        {"nbf": None},
        {"iat": now + 120},
        {"iat": None},
        {"iss": "registry-hub2"},
        {"iss": "registry"},
        {"iss": None},
        {"iss": ["registry-hub"]},
        {"aud": "registr"},
        {"aud": "registry2"},
        {"aud": ["other"]},
        {"aud": []},
        {"aud": None},
        {"sub": None},
        {"sub": 1},
        {"jti": None},
        {"access": None},
        {"access": {}},
        {"access": [ENTRY | {"actions": "pull"}]},
        {"access": [ENTRY] * 101},
        {"catalog": "*"},
    ]
    for fault in faults:
        await assert_invalid(shared, signer.sign(claims(**fault)))
    twice = b'{"aud":"other",' + json.dumps(claims()).encode()[1:]
    await assert_invalid(shared, signer.sign(twice))
    for kind in ("at+jwt", "secevent+jwt", "session", 1):
        await assert_invalid(shared, signer.sign(claims(), typ=kind))


async def test_a_late_token_is_no_token(shared: World) -> None:
    token = signer_of(shared).sign(claims(exp=int(time.time()) - 120))
    await assert_invalid(shared, token)


# What a token is good for


async def test_a_token_does_what_it_says_and_nothing_else(shared: World) -> None:
    ann = shared.client("ann")
    pull = (await ann.get("repository:ann/secret:pull")).json()["token"]
    assert (await send(shared, pull)).status == 200
    for method, target, scope in (
        ("GET", "/v2/ann/open/tags/list", "repository:ann/open:pull"),
        ("GET", "/v2/ann/secret/b/tags/list", "repository:ann/secret/b:pull"),
        ("GET", "/v2/ann/tags/list", "repository:ann:pull"),
        ("POST", "/v2/ann/secret/blobs/uploads/", "repository:ann/secret:pull,push"),
        ("DELETE", "/v2/ann/secret/manifests/latest", "repository:ann/secret:delete"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
    ):
        answer = await send(shared, pull, target, method)
        assert answer.status == 401, (method, target)
        assert answer.challenge == (
            f'Bearer realm="{shared.served.url}/token",service="registry",scope="{scope}",'
            'error="insufficient_scope"'
        )


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY | {"type": "registry"},
        ENTRY | {"type": "repository(plugin)"},
        ENTRY | {"name": "ann"},
        ENTRY | {"name": "ann/secret/x"},
        ENTRY | {"actions": []},
        ENTRY | {"actions": ["PULL"]},
        ENTRY | {"actions": ["admin"]},
    ],
)
async def test_entries_that_grant_nothing_here(shared: World, entry: dict[str, Any]) -> None:
    answer = await send(shared, signer_of(shared).sign(claims(access=[entry])))
    assert answer.status == 401
    assert 'error="insufficient_scope"' in answer.challenge


async def test_absent_and_private_look_alike(shared: World) -> None:
    """For nobody in particular, and for a user whom it does not concern; by every method."""
    for client in (shared.client(), shared.client("bob")):
        told = {}
        for name in ("ann/secret", "ann/absent", "who/absent"):
            granted = await client.get(f"repository:{name}:pull,push,delete")
            assert access(granted) == {}
            bearer = f"Bearer {granted.json()['token']}"
            for method in ("GET", "HEAD", "PUT", "DELETE"):
                target = f"/v2/{name}/manifests/latest"
                answer = await client.send(method, target, Authorization=bearer)
                told[name, method] = without_name(answer, name)
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            private = told["ann/secret", method]
            assert told["ann/absent", method] == told["who/absent", method] == private


def without_name(answer: Answer, name: str) -> tuple[Any, ...]:
    """All of an answer but its time, its id and the name, all of which have the same length."""
    varying = ("date", "x-request-id")
    headers = [(key, answer.headers[key]) for key in answer.headers if key not in varying]
    told = [(key, value.replace(name, "NAME")) for key, value in headers]
    return answer.status, told, answer.body.replace(name.encode(), b"NAME")


# Confused deputies


async def test_other_secrets_are_no_token_of_the_registry(shared: World) -> None:
    """Personal, robots', refresh and session secrets open nothing below /v2."""
    personal = await shared.access_token(shared.ann)
    login = (await shared.client("ann").get(offline_token="true")).json()["refresh_token"]
    for secret in (personal.secret, shared.robot_secret, login, PASSWORD):
        await assert_invalid(shared, secret)
    basic = await shared.client().send("GET", TARGET, Authorization=personal.basic)
    assert basic.status == 401
    assert "Bearer realm=" in basic.challenge


async def test_a_session_opens_nothing_below_v2(shared: World) -> None:
    opened = await shared.hub.accounts.sessions.open(shared.ann, Browser("127.0.0.1"), "password")
    session = opened.secret
    mine = await shared.client().send("GET", TEAM, Cookie=f"session={session}")
    assert mine.status == 200
    for name in ("session", "__Host-session"):
        answer = await shared.client().send("GET", TARGET, Cookie=f"{name}={session}")
        assert answer.status == 401
        token = await shared.client().send(
            "GET", "/token?scope=repository:ann/secret:pull", Cookie=f"{name}={session}"
        )
        assert access(token) == {}, "nobody in particular: a browser's login is not a client's"
    await assert_invalid(shared, session)


async def test_a_token_of_the_registry_opens_nothing_else(shared: World) -> None:
    token = (await shared.client("ann").get("repository:ann/secret:pull")).json()["token"]
    client = shared.client()
    for target in ("/api/v1/repositories", TEAM, "/token"):
        answer = await client.send("GET", target, Authorization=f"Bearer {token}")
        assert answer.status == 401, target
    for secret in (token, (await shared.access_token(shared.ann)).secret):
        answer = await client.send("GET", TEAM, Cookie=f"session={secret}")
        assert answer.status == 401
    grant = {"grant_type": "refresh_token", "refresh_token": token}
    assert (await client.post(**grant)).status == 401
    named = shared.client("ann", token)
    assert (await named.get()).status == 401


# Passwords


async def test_hashing_many_passwords_keeps_nobody_else_waiting(
    make_world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert passwords.MEMORY_KIB == 64 * 1024
    world: World = await make_world()
    assert (await world.client("ann").push("ann/open")).status == 201
    stranger = world.client()
    bearer = await stranger.bearer("repository:ann/open:pull")
    flood = [
        asyncio.create_task(world.client("bob", f"guess {number}").get()) for number in range(100)
    ]
    waits = []
    while not all(task.done() for task in flood):
        began = time.monotonic()
        answer = await stranger.send("GET", "/v2/ann/open/manifests/latest", Authorization=bearer)
        assert answer.status == 200
        waits.append(time.monotonic() - began)
    answers = await asyncio.gather(*flood)
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 30
    assert all(int(a.headers["retry-after"]) > 0 for a in answers if a.status == 429)
    assert sorted(waits)[len(waits) // 2] < 0.25
