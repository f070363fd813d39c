"""The token service as clients meet it: GET and POST, with and without credentials."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import pytest

from registry_server.auth.keys import parse_jwks
from registry_server.hub.roles import Limit, Role
from registry_server.hub.tokens.scopes import MAX_SCOPES
from tests.hub.tokens.clients import Answer, Client, access, subject
from tests.hub.tokens.conftest import PASSWORD, World


def refused(answer: Answer) -> bool:
    """Whether it is told in both ways that the credentials are wrong, and no token is given."""
    document = answer.json()
    return (
        answer.status == 401
        and answer.code == "UNAUTHORIZED"
        and document["error"] == "invalid_grant"
        and "token" not in document
        and "access_token" not in document
    )


# Without credentials


async def test_nobody_in_particular_pulls_what_is_public(world: World) -> None:
    scopes = [f"repository:{name}:pull,push" for name in ("ann/open", "ann/secret", "ann/none")]
    answer = await world.client().get(*scopes)
    assert access(answer) == {"ann/open": ["pull"]}
    assert subject(answer) == ""
    assert "refresh_token" not in answer.json()


async def test_an_empty_login_is_none(world: World) -> None:
    nothing = base64.b64encode(b":").decode()
    answer = await world.client().send("GET", "/token", Authorization=f"Basic {nothing}")
    assert (answer.status, subject(answer)) == (200, "")


async def test_nobody_in_particular_gets_no_refresh_token(world: World) -> None:
    answer = await world.client().get(offline_token="true")
    assert answer.status == 200
    assert "refresh_token" not in answer.json()


# What is granted


async def test_several_scopes_repeated_and_joined(world: World) -> None:
    answer = await world.client("ann").get(
        "repository:ann/secret:pull,push repository:team/open:delete",
        "repository:bob/secret:pull",
        "repository:ann/new:pull,push",
    )
    assert access(answer) == {
        "ann/secret": ["pull", "push"],
        "team/open": ["delete"],
        "ann/new": ["pull", "push"],
    }
    assert subject(answer) == "ann"


async def test_a_member_gets_what_their_role_allows(world: World) -> None:
    answer = await world.client("bob").get(
        "repository:team/secret:pull,push,delete", "repository:ann/secret:pull"
    )
    assert access(answer) == {"team/secret": ["pull"]}


async def test_a_robot_gets_what_its_limits_allow(world: World) -> None:
    answer = await world.robot.get(
        "repository:team/secret:pull,push,delete", "repository:ann/secret:pull"
    )
    assert access(answer) == {"team/secret": ["pull", "push"]}
    assert subject(answer) == "team+ci"


async def test_an_access_token_narrows_its_user(world: World) -> None:
    client = await world.access_token(world.ann, Limit("ann/secret", Role.READ))
    answer = await client.get(
        "repository:ann/secret:pull,push", "repository:team/secret:pull", "repository:ann/new:push"
    )
    assert access(answer) == {"ann/secret": ["pull"]}
    assert subject(answer) == "ann"


async def test_an_access_token_of_another_is_not_taken(world: World) -> None:
    client = await world.access_token(world.ann)
    assert refused(await world.client("bob", client.secret).get())


async def test_an_access_token_may_be_sent_as_a_bearer(world: World) -> None:
    client = await world.access_token(world.ann)
    target = "/token?scope=repository:ann/secret:pull"
    answer = await client.send("GET", target, Authorization=f"Bearer {client.secret}")
    assert access(answer) == {"ann/secret": ["pull"]}


async def test_an_answer_has_what_clients_look_for(world: World) -> None:
    answer = await world.client("ann").get("repository:ann/secret:pull")
    document = answer.json()
    assert document["token"] == document["access_token"]
    assert document["expires_in"] == 300
    assert datetime.fromisoformat(document["issued_at"]).utcoffset() is not None
    assert document["scope"] == "repository:ann/secret:pull"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    "scope",
    [
        "junk",
        "repository:ann/secret",
        "repository:ANN/secret:pull",
        "repository:../ann/secret:pull",
        "plugin:ann/secret:pull",
        "repository:bob/secret:pull,push,delete,*",
        "repository:ann/secret:",
        "registry:catalog:pull",
        "",
    ],
)
async def test_what_is_not_ours_to_grant_is_dropped(world: World, scope: str) -> None:
    assert access(await world.client("ann").get(scope)) == {}


async def test_too_much_at_once_is_refused(world: World) -> None:
    scopes = [f"repository:ann/{number}:pull" for number in range(1000)]
    grant = {"grant_type": "password", "username": "ann", "password": PASSWORD}
    for answer in (
        await world.client("ann").get(" ".join(scopes[: MAX_SCOPES + 1])),
        await world.client().post(scope=" ".join(scopes), **grant),
    ):
        assert (answer.status, answer.json()["error"]) == (400, "invalid_scope")
    assert len(access(await world.client("ann").get(*scopes[:MAX_SCOPES]))) == MAX_SCOPES
    answer = await world.client().send("GET", "/token?" + "&".join(["scope=a:b:c"] * 1000))
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


async def test_tokens_are_for_this_service_only(world: World) -> None:
    answer = await world.client("ann").send("GET", "/token?service=elsewhere")
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
    assert "registry" in answer.json()["errors"][0]["message"]


# docker login


async def test_a_login_asks_for_nothing_but_a_refresh_token(world: World) -> None:
    answer = await world.client("ann").get(account="ann", client_id="docker", offline_token="true")
    assert access(answer) == {}
    assert answer.json()["refresh_token"].startswith("rgf_")
    assert refused(await world.client("ann", "wrong").get(account="ann", offline_token="true"))


async def test_wrong_credentials_are_never_an_anonymous_login(world: World) -> None:
    """Else a typing error would look like a private image that is not there."""
    for name, secret in (("ann", "wrong"), ("nobody", PASSWORD), ("ann", ""), ("", PASSWORD)):
        client = Client(world.served.client, world.served.url, name, secret)
        answer = await client.get("repository:ann/open:pull")
        assert refused(answer), (name, answer)


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !",
        "Basic YW5u",
        "Basic " + "A" * 8000,
        "Bearer",
        "Bearer x",
        "Bearer rgp_" + "A" * 43,
        "Bearer rgs_" + "A" * 43,
        "Digest username=ann",
        "Negotiate x",
        "ann",
    ],
)
async def test_what_is_no_login_is_refused(world: World, authorization: str) -> None:
    target = "/token?scope=repository:ann/open:pull"
    assert refused(await world.client().send("GET", target, Authorization=authorization))


async def test_unknown_users_are_told_what_wrong_passwords_are_told(world: World) -> None:
    def told(answer: Answer) -> tuple[Any, ...]:
        varying = ("date", "x-request-id")
        headers = {name: answer.headers[name] for name in answer.headers if name not in varying}
        return answer.status, headers, answer.body

    known, unknown = world.client("ann", "wrong one"), world.client("nobody", "wrong one")
    assert told(await known.get()) == told(await unknown.get())
    grants = {"grant_type": "password", "password": "wrong one"}
    first = await known.post(username="ann", **grants)
    assert told(first) == told(await known.post(username="nobody", **grants))


# OAuth2


async def test_a_password_grant(world: World) -> None:
    answer = await world.client().post(
        grant_type="password",
        username="ann",
        password=PASSWORD,
        scope="repository:ann/secret:pull repository:bob/secret:pull",
    )
    assert access(answer) == {"ann/secret": ["pull"]}
    assert answer.json()["scope"] == "repository:ann/secret:pull"
    assert "refresh_token" not in answer.json()


async def test_a_password_grant_for_later(world: World) -> None:
    grant = {"grant_type": "password", "username": "ann", "access_type": "offline"}
    answer = await world.client().post(password=PASSWORD, **grant)
    refresh_token = answer.json()["refresh_token"]
    answer = await world.client().post(
        grant_type="refresh_token",
        refresh_token=refresh_token,
        scope="repository:ann/secret:pull,push",
    )
    assert access(answer) == {"ann/secret": ["pull", "push"]}
    assert subject(answer) == "ann"


async def test_a_robot_by_post(world: World) -> None:
    answer = await world.client().post(
        grant_type="password",
        username="team+ci",
        password=world.robot_secret,
        scope="repository:team/secret:push",
    )
    assert access(answer) == {"team/secret": ["push"]}


@pytest.mark.parametrize(
    "grant",
    [
        {"grant_type": "password", "username": "ann", "password": "wrong"},
        {"grant_type": "password", "username": "nobody", "password": PASSWORD},
        {"grant_type": "refresh_token", "refresh_token": "rgf_" + "A" * 43},
        {"grant_type": "refresh_token", "refresh_token": "x" * 5000},
        {"grant_type": "refresh_token", "refresh_token": "rgp_" + "A" * 43},
    ],
)
async def test_wrong_grants_are_refused(world: World, grant: dict[str, str]) -> None:
    assert refused(await world.client().post(scope="repository:ann/open:pull", **grant))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "password", "username": "ann"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "password", "service": "elsewhere"}, "invalid_request"),
    ],
)
async def test_what_is_no_grant_is_told(world: World, fields: dict[str, str], error: str) -> None:
    answer = await world.client().post(**fields)
    assert (answer.status, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("text/plain", b"grant_type=password", 415),
        ("application/x-www-form-urlencoded", b"a" * 70_000, 413),
        ("application/x-www-form-urlencoded", b"&".join([b"a=b"] * 200), 400),
        ("application/x-www-form-urlencoded", b"username=ann&username=bob&password=x", 400),
        ("application/x-www-form-urlencoded", b"\xff\xfe=%ff", 400),
    ],
)
async def test_a_body_that_is_no_form_is_refused(
    world: World, kind: str, body: bytes, status: int
) -> None:
    if b"username" in body:
        body += b"&grant_type=password"
    answer = await world.client().send("POST", "/token", data=body, Content_Type=kind)
    assert answer.status == status
    assert answer.code == "UNSUPPORTED"


async def test_a_page_of_another_site_gets_no_token(world: World) -> None:
    form = b"grant_type=password&username=ann&password=x"
    answer = await world.client().send(
        "POST",
        "/token",
        data=form,
        Content_Type="application/x-www-form-urlencoded",
        Origin="https://evil.example",
    )
    assert answer.status == 403


async def test_other_methods_are_not_there(world: World) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert (await world.client().send(method, "/token")).status == 405


# Keys


async def test_the_keys_are_public(world: World) -> None:
    answer = await world.client().send("GET", "/.well-known/jwks.json")
    assert parse_jwks(answer.body.decode()).by_id == world.hub.keys.public().by_id
    assert b'"d"' not in answer.body
    assert answer.headers["cache-control"] == "public, max-age=60"
