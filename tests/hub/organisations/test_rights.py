"""Who may do what where: owners, members, teams, grants, what is public, and narrow credentials."""

from __future__ import annotations

import pytest

from registry_server.auth.access import Action
from registry_server.hub.callers import ANONYMOUS
from registry_server.hub.organisations import organisations, teams
from registry_server.hub.rights import Sight
from registry_server.hub.roles import Limit, Role
from registry_storage import Visibility
from tests.hub.organisations.conftest import Town
from tests.hub.organisations.people import BY, robot

READ, WRITE, MAINTAIN, ADMIN = Role
PULL, PUSH, DELETE = Action


@pytest.mark.parametrize(
    ("who", "repository", "role"),
    [
        ("ann", "team/app", ADMIN),
        ("ann", "team/not-there", ADMIN),
        ("ann", "ann/mine", ADMIN),
        ("ann", "eve/hers", None),
        ("ann", "ann", None),
        ("wil", "team/app", WRITE),
        ("wil", "team/deep/er/name", WRITE),
        ("wil", "teams/app", None),
        ("rob", "team/app", READ),
        ("rob", "team/app/below", None),
        ("rob", "team/other", None),
        ("sue", "team/app", MAINTAIN),
        ("sue", "team/other", None),
        ("eve", "team/app", None),
        ("eve", "team/open", READ),
        ("eve", "busybox", READ),
        ("anonymous", "team/app", None),
        ("anonymous", "team/open", READ),
        ("anonymous", "team/not-there", None),
        ("root", "team/app", ADMIN),
        ("root", "busybox", ADMIN),
        ("root", "eve/hers", ADMIN),
    ],
)
async def test_roles_on_repositories(
    town: Town, who: str, repository: str, role: Role | None
) -> None:
    assert await town.role(who, repository) is role


@pytest.mark.parametrize(
    ("who", "role", "belongs"),
    [
        ("ann", ADMIN, True),
        ("wil", WRITE, True),
        ("rob", None, True),
        ("sue", None, False),
        ("eve", None, False),
        ("anonymous", None, False),
        ("root", ADMIN, True),
    ],
)
async def test_roles_on_namespaces(town: Town, who: str, role: Role | None, belongs: bool) -> None:
    assert await town.rights.on_namespace(town[who], "team") is role
    assert await town.rights.belongs(town[who], "team") is belongs


async def test_teams_give_their_role_on_everything(town: Town) -> None:
    await town.database.write(teams.put, BY, "team", "readers", "", WRITE)
    assert await town.role("rob", "team/other") is WRITE
    assert await town.rights.on_namespace(town["rob"], "team") is WRITE


async def test_what_is_taken_is_gone_at_once(town: Town) -> None:
    await town.database.write(teams.remove_user, BY, "team", "readers", "rob")
    assert await town.role("rob", "team/app") is None
    await town.database.write(organisations.remove_member, BY, "team", "wil")
    assert await town.role("wil", "team/app") is None


@pytest.mark.parametrize(
    ("limits", "app", "open_", "space"),
    [
        (["team/app:read"], READ, READ, None),
        (["team/*:write"], WRITE, WRITE, None),
        (["team/**:read"], READ, READ, READ),
        (["**:maintain"], MAINTAIN, MAINTAIN, MAINTAIN),
        (["ann/**:admin"], None, READ, None),
        ([], None, READ, None),
    ],
)
async def test_credentials_narrow(
    town: Town, limits: list[str], app: Role | None, open_: Role, space: Role | None
) -> None:
    """What is public stays readable: it is without any credentials, too."""
    caller = town.narrowed("ann", *limits)
    assert await town.role(caller, "team/app") is app
    assert await town.role(caller, "team/open") is open_
    assert await town.rights.on_namespace(caller, "team") is space
    assert await town.rights.belongs(caller, "team") is (space is not None)


async def test_credentials_never_widen(town: Town) -> None:
    caller = town.narrowed("wil", "**:admin")
    assert await town.role(caller, "team/app") is WRITE
    assert await town.rights.on_namespace(caller, "team") is WRITE


async def test_narrowed_administrators_of_the_hub(town: Town) -> None:
    caller = town.narrowed("root", "team/**:read")
    assert await town.role(caller, "team/app") is READ
    assert await town.role(caller, "eve/hers") is None


async def test_robots_have_what_their_limits_say_in_their_namespace(town: Town) -> None:
    ci = robot("team", Limit("team/app", WRITE), Limit("eve/**", ADMIN))
    assert await town.role(ci, "team/app") is WRITE
    assert await town.role(ci, "team/other") is None
    assert await town.role(ci, "eve/hers") is None
    assert await town.role(robot("team"), "team/app") is None


@pytest.mark.parametrize(
    ("who", "actions"),
    [("ann", {PULL, PUSH, DELETE}), ("wil", {PULL, PUSH}), ("rob", {PULL}), ("eve", set())],
)
async def test_actions_of_tokens(town: Town, who: str, actions: set[Action]) -> None:
    assert await town.rights.actions(town[who], "team/app") == actions


async def test_an_old_name_is_pulled_from_by_the_rights_on_the_new_one(town: Town) -> None:
    town.catalog.renamed = {"team/old": "eve/new", "eve/old": "team/open"}
    town.catalog.private.add("eve/new")
    assert await town.rights.actions(town["ann"], "team/old") == {PUSH, DELETE}
    assert await town.rights.actions(town["eve"], "team/old") == {PULL}
    assert await town.rights.actions(town["wil"], "eve/old") == {PULL}
    assert await town.rights.actions(ANONYMOUS, "eve/old") == {PULL}
    assert await town.rights.actions(ANONYMOUS, "team/old") == frozenset()


async def test_sights(town: Town) -> None:
    sight = town.rights.sight
    assert await sight(town["ann"]) == Sight(namespaces=frozenset({"ann", "team"}))
    assert await sight(town["rob"]) == Sight(
        namespaces=frozenset({"rob"}), names=frozenset({"team/app"})
    )
    assert await sight(town["root"]) == Sight(everything=True)
    assert await sight(ANONYMOUS) == Sight()
    narrow = await sight(town.narrowed("ann", "team/a*:read"))
    assert narrow.shows("team/app", Visibility.PRIVATE)
    assert not narrow.shows("team/other", Visibility.PRIVATE)
    assert narrow.shows("eve/anything", Visibility.PUBLIC)


async def test_what_a_token_lists(town: Town) -> None:
    visible = town.rights.visible
    assert await visible(town["wil"]) == (["team", "wil"], [])
    assert await visible(town["sue"]) == (["sue"], ["team/app"])
    assert await visible(town.narrowed("wil", "team/**:read")) == (["team"], [])
    assert await visible(town.narrowed("wil", "team/a*:read")) == ([], [])
    assert await visible(town.narrowed("sue", "team/a*:read")) == ([], ["team/app"])
    assert await visible(robot("team", Limit("**", READ))) == (["team"], [])
