"""Attacks on every route that they fit: made from the routes, so that a new one is swept, too.

- ids of others, in every place where a path takes one: as if they were not there, nothing changes;
- fields that no form has (`is_admin`, `owner`, `password_hash`, …): refused, nothing changes;
- searches and lists: fields that there are not, SQL, patterns, great lengths, odd letters;
- what every answer must carry so that browsers and caches do no more with it than is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import BaseModel
from sqlalchemy import Connection, Select, Table, select
from yarl import URL

from registry_server.hub.api.routes import ROUTES as API
from registry_server.hub.records.audit import By
from registry_server.hub.site import ROUTES
from registry_server.hub.tables import audit, metadata, readers
from registry_server.hub.web.policies import Concern
from registry_server.hub.web.routes import Route
from tests.hub.api.conftest import PASSWORD, World

BY = By("owner", "192.0.2.1", "request-2")
VALUES: Mapping[str, Any] = {
    "name": "other",
    "password": "another horse battery",
    "current_password": "another horse battery",
    "new_password": "a third horse battery",
    "secret": "rgl_0",
    "code": "000000",
    "is_admin": True,
    "is_disabled": True,
    "role": "admin",
    "visibility": "public",
    "limits": [{"repositories": "acme/**", "role": "admin"}],
}
"""A good value of each field that must be sent."""
SMUGGLED: Mapping[str, Any] = {
    "is_admin": True,
    "sysadmin_flag": 1,
    "role_id": "admin",
    "owner": "stranger",
    "user_id": 1,
    "id": 1,
    "namespace": "acme",
    "password_hash": "$argon2id$",
    "created_at": "2000-01-01T00:00:00Z",
    "__proto__": {"is_admin": True},
}
NOTED = ("seen_at", "used_at", "used_from")
"""What is written of whoever comes, whatever they are answered."""


def body_of(route: Route) -> dict[str, Any] | None:
    """A good body, with nothing but what must be sent."""
    model = route.model("body")
    if model is None:
        return None
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    values = {name: VALUES[name] for name in needed}
    if route.path.endswith("{repository}/name"):
        values["name"] = "stranger/app"
    return values


async def everything(world: World) -> Mapping[str, Any]:
    """What the hub and the catalog hold."""
    repositories = await world.served.hub.registry.browse(everything=True, limit=1000)
    return {"repositories": repositories, **await world.served.hub.database.read(_rows)}


def _rows(tx: Connection) -> dict[str, list[str]]:
    return {
        table.name: sorted(map(str, tx.execute(_dump(table)).all()))
        for table in metadata.sorted_tables
        if table is not readers
    }


def _dump(table: Table) -> Select[Any]:
    """Without what the catalog tells the audit log: that comes when it comes."""
    dump = select(*(column for column in table.columns if not column.name.endswith(NOTED)))
    return dump.where(audit.c.request_id != "") if table is audit else dump


# Ids of others


@pytest.fixture
async def ids_of_owner(world: World) -> dict[str, str]:
    """What there is of the owner's and of the organisation's, by what paths call it."""
    hub = world.served.hub
    caller = await hub.logins.by_password("owner", PASSWORD, "192.0.2.1")
    await hub.refresh_tokens.issue(BY, caller, "registry", "docker")
    assert (await world.send("root", "POST", "/api/v1/invitations", {})).status == 201
    limits = [{"repositories": "acme/**", "role": "read"}]
    robot = {"name": "ci2", "limits": limits}
    assert (
        await world.send("owner", "POST", "/api/v1/namespaces/acme/robots", robot)
    ).status == 201
    return {
        "session": await _first_id(world, "owner in a session", "me/sessions"),
        "token": await _first_id(world, "owner in a session", "me/access-tokens"),
        "login": await _first_id(world, "owner in a session", "me/client-logins"),
        "invitation": await _first_id(world, "root", "invitations"),
        "namespace": "acme",
        "repository": "acme/app",
        "user": "owner",
        "team": "core",
        "robot": "ci",
        "tag": "latest",
    }


async def _first_id(world: World, who: str, path: str) -> str:
    return str((await world.send(who, "GET", f"/api/v1/{path}")).json()["items"][0]["id"])


def ids_of_nobody(ids: Mapping[str, str]) -> dict[str, str]:
    """What looks like them, and is not there."""
    opaque = ("session", "token", "login", "invitation")
    return {name: "0" * len(given) if name in opaque else "absent" for name, given in ids.items()}


def path_of(route: Route, ids: Mapping[str, str]) -> str:
    """The path of what these are the ids of."""
    return route.path.format(**{name: quote(ids[name], safe="") for name in route.parameters})


@pytest.mark.parametrize("who", ["stranger", "stranger in a session", "anonymous"])
async def test_what_is_somebody_elses_is_as_if_it_were_not_there(
    world: World, ids_of_owner: dict[str, str], who: str
) -> None:
    before, wrong = await everything(world), []
    for route in (route for route in API if route.parameters):
        there, nowhere = [
            await world.send(who, route.method, path_of(route, ids), body_of(route))
            for ids in (ids_of_owner, ids_of_nobody(ids_of_owner))
        ]
        if there.status not in (401, 403, 404) or there.body != nowhere.body:
            wrong.append(f"{route.method} {route.path}: {there.status}, {nowhere.status}")
    assert wrong == []
    assert await everything(world) == before


@pytest.mark.parametrize("who", ["stranger", "stranger in a session"])
async def test_nothing_is_moved_into_what_is_somebody_elses(world: World, who: str) -> None:
    """… and nobody learns so whether that name is taken there, or whether there is such a place."""
    own = "/api/v1/repositories/stranger%2Fapp"
    assert (await world.send(who, "PUT", own, {})).status == 200
    before, told = await everything(world), set()
    for target in ("acme/new", "acme/app", "acme/open/new", "reader/app", "absent/app"):
        answer = await world.send(who, "PUT", f"{own}/name", {"name": target})
        told.add((answer.status, answer.body))
    assert [status for status, _ in told] == [404]
    assert await everything(world) == before


# Fields that no form has


async def test_no_field_is_taken_that_is_not_asked_for(
    world: World, ids_of_owner: dict[str, str]
) -> None:
    before, wrong = await everything(world), []
    for route in API:
        if (body := body_of(route)) is None:
            continue
        path = path_of(route, ids_of_owner)
        for name, value in SMUGGLED.items():
            if name in _fields_of(route):
                continue
            answer = await world.send("root in a session", route.method, path, body | {name: value})
            if answer.status != 400 or answer.json()["errors"][0]["field"] != name:
                wrong.append(f"{route.method} {route.path} takes {name}: {answer.status}")
    assert wrong == []
    assert await everything(world) == before


def _fields_of(route: Route) -> set[str]:
    model = route.model("body")
    return set(model.model_fields) if model else set()


async def test_what_is_smuggled_deeper_is_refused_too(world: World) -> None:
    limit = {"repositories": "acme/**", "role": "read", "is_admin": True}
    body = {"name": "deep", "limits": [limit]}
    answer = await world.send("owner", "POST", "/api/v1/namespaces/acme/robots", body)
    assert (answer.status, answer.json()["errors"][0]["field"]) == (400, "limits.0.is_admin")


# Searches and lists

LISTS = [route for route in API if route.model("query") is not None]
ODD = [
    "' OR 1=1 --",
    '"; DROP TABLE hub_users; --',
    "%",
    "_",
    "%%%%%%%%",
    "\\",
    "(a+)+$",
    "*",
    "\u212b",
]


def _list_path(route: Route) -> str:
    names = {"namespace": "acme", "repository": "acme%2Fapp", "team": "core"}
    return route.path.format(**{name: names[name] for name in route.parameters})


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.name)
async def test_a_list_takes_its_own_parameters_only(world: World, route: Route) -> None:
    for query in (
        "sort=password",
        "q=password=~$2",
        "q=owner.password_hash%3Dx",
        "order_by=1",
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=1e9",
        "limit=1&limit=2",
        "offset=1000000",
        f"after={'a' * 10_000}",
    ):
        answer = await world.send("root", "GET", f"{_list_path(route)}?{query}")
        assert answer.status == 400, query


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.name)
async def test_what_is_sought_is_a_text_and_nothing_else(world: World, route: Route) -> None:
    """No SQL, no pattern: it equals a name, or it finds nothing."""
    model = route.model("query")
    assert model is not None
    for name in _texts(model):
        for text in ODD:
            path = f"{_list_path(route)}?{name}={quote(text)}"
            answer = await world.send("root", "GET", path)
            assert answer.status in (200, 400), path
            if answer.status == 200 and name != "after":
                assert answer.json()["items"] == [], path
    assert (await world.send("root", "GET", "/api/v1/users/owner")).status == 200


def _texts(model: type[BaseModel]) -> list[str]:
    """The parameters that are free text."""
    return [name for name in model.model_fields if name not in ("limit", "since", "until")]


@pytest.mark.parametrize(
    "name", ["o\u0308wner", "\u00f6wner", "\u043ewner", "OWNER", "owner\u200b", "ow/ner"]
)
async def test_names_that_look_alike_are_nobodys(world: World, name: str) -> None:
    assert (await world.send("root", "GET", f"/api/v1/users/{quote(name, safe='')}")).status == 404
    made = await world.send("root", "POST", "/api/v1/users", {"name": name})
    assert made.status in (400, 422)
    made = await world.send("root", "POST", "/api/v1/organisations", {"name": name})
    assert made.status in (400, 422)


# What is written about somebody


SCRIPTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</title><script>alert(1)</script>",
    "javascript:alert(1)",
    '"><svg onload=alert(1)>',
    "{{ 1234 * 4321 }}",
]


@pytest.mark.parametrize("text", SCRIPTS)
async def test_what_is_written_about_somebody_is_data(world: World, text: str) -> None:
    """It comes back as it was written, in JSON that no browser takes for a page."""
    body = {"full_name": text}
    assert (await world.send("owner", "PUT", "/api/v1/me", body)).status == 204
    answer = await world.send("owner", "GET", "/api/v1/me")
    assert answer.json()["full_name"] == text
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/", f"/login?next={quote(text)}", f"/link/{quote(text, safe='')}"):
        page = await world.send("owner in a session", "GET", path)
        assert text.encode() not in page.body, path
        assert b"5332114" not in page.body, path


# What every answer carries


async def test_every_answer_tells_browsers_and_caches_to_do_no_more(
    world: World, ids_of_owner: dict[str, str]
) -> None:
    for route in (route for route in ROUTES if route.method == "GET"):
        ids = dict.fromkeys(route.parameters, "0") | ids_of_owner
        for who in ("anonymous", "owner in a session", "root"):
            answer = await world.send(who, "GET", path_of(route, ids))
            _is_guarded(route, answer.headers)
    absent = await world.send("anonymous", "GET", "/no/such/page")
    _is_guarded(None, absent.headers)


HIDDEN = [
    "/metrics",
    "/debug/pprof/",
    "/debug/vars",
    "/docs",
    "/swagger.json",
    "/api",
    "/api/v2/users",
    "/.git/config",
    "/hub.sqlite",
    "/static/",
    "/static/..%2f..%2fetc%2fpasswd",
    "/style/..%2f..%2f..%2fetc%2fpasswd",
    "/pages/login.html",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/link/..%2f..%2fetc%2fpasswd",
]


@pytest.mark.parametrize("path", HIDDEN)
async def test_nothing_is_served_that_no_route_names(world: World, path: str) -> None:
    """No page for developers, no file, no folder."""
    for who in ("anonymous", "root", "root in a session"):
        url = URL(world.served.url + path, encoded=True)
        async with world.served.client.get(url, headers=world.headers[who]) as answer:
            assert answer.status == 404
            assert b"root:" not in await answer.read()
            _is_guarded(None, answer.headers)


def _is_guarded(route: Route | None, headers: Mapping[str, str]) -> None:
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    if headers["Cache-Control"] != "no-store":
        assert route is not None
        assert route.policy.concern is Concern.NOT_ASKED, route.path
    assert headers["Vary"] == "Authorization, Cookie"
