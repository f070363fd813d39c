"""Every route and every kind of caller: made from the list of routes, so that none is forgotten.

What a caller is answered follows from the route's policy and from who they are (`STANDINGS`).  Who
is refused is really sent there; who is let in, too, unless the request would change something.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from registry_server.hub.roles import Role
from registry_server.hub.site import ROUTES
from registry_server.hub.web.policies import Concern
from registry_server.hub.web.routes import Route
from tests.hub.api.conftest import World

PATHS = {
    "namespace": "acme",
    "repository": "acme%2Fapp",
    "user": "reader",
    "team": "core",
    "robot": "ci",
    "tag": "latest",
}
LET_IN = 0
"""Whatever the handler then says."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is to know of a caller."""

    known: bool = True
    is_refused: bool = False
    """Their credentials are no longer good."""
    is_user: bool = True
    is_whole: bool = True
    """Their credentials are not narrowed."""
    in_session: bool = False
    is_admin: bool = False
    belongs: bool = False
    on_namespace: Role | None = None
    on_repository: Role | None = None


def _member(role: Role) -> Standing:
    return Standing(belongs=True, on_namespace=role, on_repository=role)


_ROOT = {"is_admin": True, "belongs": True, "on_namespace": Role.ADMIN, "on_repository": Role.ADMIN}
STANDINGS = {
    "anonymous": Standing(known=False),
    "gone": Standing(is_refused=True),
    "stranger": Standing(),
    "stranger in a session": Standing(in_session=True),
    "reader": _member(Role.READ),
    "writer": _member(Role.WRITE),
    "maintainer": _member(Role.MAINTAIN),
    "owner": _member(Role.ADMIN),
    "owner in a session": Standing(
        in_session=True, belongs=True, on_namespace=Role.ADMIN, on_repository=Role.ADMIN
    ),
    "narrow": Standing(is_whole=False, on_repository=Role.READ),
    "robot": Standing(
        is_user=False, is_whole=False, on_namespace=Role.WRITE, on_repository=Role.WRITE
    ),
    "root": Standing(**_ROOT),  # type: ignore[arg-type]
    "root in a session": Standing(in_session=True, **_ROOT),  # type: ignore[arg-type]
}


def expected(route: Route, caller: Standing) -> int:
    """The status of a refusal, or `LET_IN`."""
    policy = route.policy
    if policy.concern is Concern.NOT_ASKED:
        return LET_IN
    if caller.is_refused:
        return 401
    if policy.concern is Concern.NOTHING:
        return LET_IN
    if not caller.known:
        return 401
    if policy.concern in (Concern.NAMESPACE, Concern.MEMBERSHIP):
        return _by_role(policy.role, caller.on_namespace, caller.belongs)
    if policy.concern is Concern.REPOSITORY:
        return _by_role(policy.role, caller.on_repository, False)
    return LET_IN if _meets(policy.concern, caller) else 403


def _by_role(needed: Role | None, given: Role | None, belongs: bool) -> int:
    if given is None and not belongs:
        return 404
    if needed is None or (given is not None and given.includes(needed)):
        return LET_IN
    return 403


def _meets(concern: Concern, caller: Standing) -> bool:
    is_whole = caller.is_user and caller.is_whole
    match concern:
        case Concern.SIGNED_IN:
            return True
        case Concern.ACCOUNT:
            return is_whole
        case Concern.SESSION:
            return is_whole and caller.in_session
        case _:
            return is_whole and caller.is_admin


def _target(route: Route) -> str:
    return route.path.format(**{name: PATHS.get(name, "0") for name in route.parameters})


@pytest.mark.parametrize("who", STANDINGS)
async def test_every_route_lets_in_whom_its_policy_names(world: World, who: str) -> None:
    assert world.headers.keys() == STANDINGS.keys()
    wrong = []
    for route in ROUTES:
        wanted = expected(route, STANDINGS[who])
        if wanted == LET_IN and route.method != "GET":
            continue  # tried where it belongs: here it would change what comes after
        answer = await world.send(who, route.method, _target(route), {})
        refused = answer.status in (401, 403) or (answer.status == 404 and wanted == 404)
        if (answer.status if refused else LET_IN) != wanted and not _tells_nothing(route):
            wrong.append(f"{route.method} {route.path}: {answer.status}, not {wanted or 'let in'}")
    assert wrong == []


def _tells_nothing(route: Route) -> bool:
    """Routes that ask for credentials in a way of their own, which their own tests try."""
    return route.policy.concern is Concern.NOT_ASKED


async def test_what_is_private_looks_as_if_it_were_not_there(world: World) -> None:
    for route in ROUTES:
        if route.policy.concern is not Concern.REPOSITORY:
            continue
        there = await world.send("stranger", route.method, _target(route), {})
        absent = _target(route).replace("acme%2Fapp", "acme%2Fnone")
        nowhere = await world.send("stranger", route.method, absent, {})
        assert there.status == nowhere.status == 404
        assert there.body == nowhere.body


async def test_a_change_from_a_browser_repeats_the_sessions_token(world: World) -> None:
    cookie = {"Cookie": world.headers["root in a session"]["Cookie"]}
    for route in ROUTES:
        if route.method == "GET" or route.policy.concern is Concern.NOT_ASKED:
            continue
        async with world.served.client.request(
            route.method, world.served.url + _target(route), json={}, headers=cookie
        ) as answer:
            assert answer.status == 403, route.path
