"""The API as a program uses it, start to end."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest
from aiohttp import encode_basic_auth

from tests.hub.api.conftest import PASSWORD, World


async def _json(world: World, who: str, method: str, path: str, body: Any = None) -> Any:
    answer = await world.send(who, method, path, body)
    assert answer.status < 300, answer.body
    return answer.json()


async def test_an_organisation_is_made_and_lived_in(world: World) -> None:
    await _json(world, "stranger", "POST", "/api/v1/organisations", {"name": "guild"})
    path = "/api/v1/organisations/guild"
    await _json(world, "stranger", "PUT", f"{path}/members/reader", {"role": "read"})
    members = await _json(world, "reader", "GET", f"{path}/members")
    assert [(m["user"], m["role"]) for m in members["items"]] == [
        ("reader", "read"),
        ("stranger", "admin"),
    ]
    await _json(world, "stranger", "PUT", "/api/v1/repositories/guild%2Fapp", {})
    seen = await _json(world, "reader", "GET", "/api/v1/repositories/guild%2Fapp")
    assert (seen["name"], seen["visibility"]) == ("guild/app", "private")


async def test_visibility_opens_a_repository_to_everybody(world: World) -> None:
    path = "/api/v1/repositories/acme%2Fapp"
    assert (await world.send("anonymous", "GET", path)).status == 401
    await _json(world, "maintainer", "PUT", f"{path}/visibility", {"visibility": "public"})
    assert (await _json(world, "anonymous", "GET", path))["visibility"] == "public"


async def test_a_list_shows_what_the_caller_may_see(world: World) -> None:
    path = "/api/v1/repositories"
    await _json(world, "owner", "PUT", f"{path}/acme%2Fother", {})
    shown = {}
    for who in ("anonymous", "stranger", "narrow", "reader", "robot", "root"):
        listed = await _json(world, who, "GET", path)
        shown[who] = [repository["name"] for repository in listed["items"]]
    public, everything = ["acme/open"], ["acme/app", "acme/open", "acme/other"]
    assert shown == {
        "anonymous": public,
        "stranger": public,
        "narrow": ["acme/app", "acme/open"],
        "reader": everything,
        "robot": everything,
        "root": everything,
    }


async def test_a_secret_is_shown_once_and_works(world: World) -> None:
    path = "/api/v1/me/access-tokens"
    made = await _json(world, "owner in a session", "POST", path, {"name": "laptop"})
    listed = await _json(world, "owner", "GET", path)
    assert "secret" not in str(listed)
    answer = await world.send(
        "anonymous", "GET", "/api/v1/me", Authorization=f"Bearer {made['secret']}"
    )
    assert answer.json()["name"] == "owner"
    await _json(world, "owner", "DELETE", f"{path}/{made['id']}")
    answer = await world.send(
        "anonymous", "GET", "/api/v1/me", Authorization=f"Bearer {made['secret']}"
    )
    assert answer.status == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/v1/me", {"full_name": "A", "is_admin": True}),
        ("PUT", "/api/v1/me", {"full_name": "A", "role": "admin"}),
        ("POST", "/api/v1/organisations", {"name": "guild", "namespace": "acme"}),
        ("POST", "/api/v1/registrations", {"name": "new", "password": "p" * 12, "is_admin": True}),
    ],
)
async def test_fields_that_nobody_asked_for_are_refused(
    world: World, method: str, path: str, body: Any
) -> None:
    answer = await world.send("stranger", method, path, body)
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")


async def test_what_belongs_to_others_cannot_be_named(world: World) -> None:
    theirs = await _json(
        world, "owner in a session", "POST", "/api/v1/me/access-tokens", {"name": "laptop"}
    )
    path = f"/api/v1/me/access-tokens/{theirs['id']}"
    assert (await world.send("stranger", "DELETE", path)).status == 404
    listed = await _json(world, "owner", "GET", "/api/v1/me/access-tokens")
    assert theirs["id"] in [token["id"] for token in listed["items"]]


async def test_robots_are_made_changed_and_ended(world: World) -> None:
    path = "/api/v1/namespaces/acme/robots"
    limits = [{"repositories": "acme/app", "role": "read"}]
    made = await _json(world, "owner", "POST", path, {"name": "deploy", "limits": limits})
    assert made["login"] == "acme+deploy"
    change = {"limits": limits, "is_disabled": True}
    await _json(world, "owner", "PUT", f"{path}/deploy", change)
    answer = await world.send(
        "anonymous", "GET", "/api/v1/me", Authorization=f"Bearer {made['secret']}"
    )
    assert answer.status == 401
    foreign = {"name": "spy", "limits": [{"repositories": "other/**", "role": "admin"}]}
    assert (await world.send("owner", "POST", path, foreign)).status == 422


async def test_lists_go_on_where_they_stopped(world: World) -> None:
    found, after = [], ""
    while True:
        page = await _json(world, "root", "GET", f"/api/v1/users?limit=2&after={after}")
        found += [user["name"] for user in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert found == sorted(["owner", "reader", "writer", "maintainer", "stranger", "root", "gone"])


async def test_answers_are_kept_by_no_cache_and_no_frame(world: World) -> None:
    answer = await world.send("owner", "GET", "/api/v1/me")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_nobody_inherits_repositories_by_choosing_a_name(world: World) -> None:
    await world.served.hub.registry.create_repository("departed/app")
    made = await _json(world, "root", "POST", "/api/v1/invitations", {})
    secret = made["url"].rpartition("/")[2]
    chosen = {"secret": secret, "password": "correct horse battery"}
    path = "/api/v1/links/acceptance"
    heir = await world.send("anonymous", "POST", path, {**chosen, "name": "departed"})
    taken = await world.send("anonymous", "POST", path, {**chosen, "name": "owner"})
    assert heir.status == taken.status == 409
    assert heir.json()["detail"].replace("departed", "owner") == taken.json()["detail"]
    await _json(world, "anonymous", "POST", path, {**chosen, "name": "newcomer"})


async def test_nobody_inherits_what_was_set_for_a_name(world: World) -> None:
    """Or the images of whoever has it next would begin public."""
    path, namespace = "/api/v1/organisations/fleeting", "/api/v1/namespaces/fleeting"
    await _json(world, "root", "POST", "/api/v1/organisations", {"name": "fleeting"})
    new = await _json(world, "root", "GET", namespace)
    await _json(world, "root", "PUT", f"{namespace}/default-visibility", {"visibility": "public"})
    await _json(world, "root", "PUT", f"{namespace}/quota", {"max_repositories": 0})
    assert (await world.send("root", "DELETE", path)).status == 204
    await _json(world, "root", "POST", "/api/v1/organisations", {"name": "fleeting"})
    assert await _json(world, "root", "GET", namespace) == new


async def test_the_name_of_an_organisation_tells_nothing_of_what_is_left_over(
    world: World,
) -> None:
    """But an administrator, who may see it, is told what stands in the way."""
    await world.served.hub.registry.create_repository("departed/app")
    path, told = "/api/v1/organisations", []
    for name in ("departed", "acme"):
        answer = await world.send("stranger", "POST", path, {"name": name})
        told.append((answer.status, answer.body.replace(name.encode(), b"NAME")))
    assert told[0] == told[1]
    answer = await world.send("root", "POST", path, {"name": "departed"})
    assert answer.status == 409
    assert answer.json()["detail"].startswith("there are repositories in departed")


async def test_where_nobody_may_register_names_tell_nothing(world: World) -> None:
    await world.served.hub.registry.create_repository("departed/app")
    path, told = "/api/v1/registrations", set()
    for name in ("departed", "newcomer", "owner"):
        answer = await world.send(
            "anonymous", "POST", path, {"name": name, "password": "correct horse battery"}
        )
        told.add((answer.status, answer.body))
    assert len(told) == 1


async def test_a_second_factor_begins_with_the_password(world: World) -> None:
    path, who = "/api/v1/me/second-factor", "owner in a session"
    assert (await world.send(who, "POST", path, {"password": "a wrong one"})).status == 422
    offer = await _json(world, who, "POST", path, {"password": PASSWORD})
    assert offer["uri"].startswith("otpauth://totp/")


async def test_the_session_that_confirms_a_second_factor_goes_on_by_another_secret(
    world: World,
) -> None:
    path, who = "/api/v1/me/second-factor", "owner in a session"
    offer = await _json(world, who, "POST", path, {"password": PASSWORD})
    code = pyotp.parse_uri(offer["uri"]).now()
    answer = await world.send(who, "PUT", path, {"code": code})
    assert answer.status == 200
    assert len(answer.json()["codes"]) == 10
    assert (await world.send(who, "GET", "/api/v1/me")).status == 401
    renewed = {
        "Cookie": answer.headers["Set-Cookie"].partition(";")[0],
        "X-CSRF-Token": answer.json()["csrf"],
    }
    mine = await world.send("anonymous", "GET", "/api/v1/me/sessions", **renewed)
    assert len(mine.json()["items"]) == 1


async def test_a_password_is_told_to_be_none_of_the_ways(world: World) -> None:
    login = encode_basic_auth("owner", PASSWORD)
    answer = await world.send("anonymous", "GET", "/api/v1/me", Authorization=login)
    assert answer.status == 401
    assert answer.json()["detail"].startswith("passwords are not taken here: send an access token")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/api/v1/users/reader/admin", {"is_admin": 0}, 400),
        ("PUT", "/api/v1/users/reader/admin", {"is_admin": "false"}, 400),
        ("PUT", "/api/v1/namespaces/acme/quota", {"max_repositories": "3"}, 400),
        ("PUT", "/api/v1/namespaces/acme/quota", {"max_repositories": 3.5}, 400),
        ("PUT", "/api/v1/namespaces/acme/quota", {"max_repositories": 3.0}, 204),
        ("GET", "/api/v1/audit?until=0.5", None, 400),
        ("GET", "/api/v1/audit?until=2026-01-31", None, 400),
        ("GET", "/api/v1/audit?until=2026-01-31T12:00:00Z", None, 200),
    ],
)
async def test_a_value_is_of_its_fields_type_to_the_letter(
    world: World, method: str, path: str, body: Any, status: int
) -> None:
    assert (await world.send("root", method, path, body)).status == status
