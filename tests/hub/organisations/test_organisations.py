"""Organisations, members, teams and grants: the rules, and what the audit log tells."""

from __future__ import annotations

import asyncio

import pytest

from registry_server.hub.errors import Conflict, Invalid, Taken, Unknown
from registry_server.hub.organisations import grants, organisations, teams
from registry_server.hub.records import audit, members, namespaces
from registry_server.hub.records.audit import Search
from registry_server.hub.records.grants import GrantRow
from registry_server.hub.roles import Role
from registry_storage.databases import Database
from tests.hub.organisations.conftest import Town
from tests.hub.organisations.people import BY, add_user


async def _actions(database: Database) -> list[str]:
    entries = await database.read(audit.find, Search(), limit=1000)
    return [entry.deed.action for entry in reversed(entries)]


@pytest.mark.parametrize("name", ["team", "ann"])
async def test_users_and_organisations_share_names(town: Town, name: str) -> None:
    with pytest.raises(Taken, match=name):
        await town.database.write(organisations.create, BY, name)


@pytest.mark.parametrize("name", ["", "x", "Team", "a/b", "a+b", "-a", "a" * 65, "a..b", "ä"])
async def test_names_have_a_grammar(hub_database: Database, name: str) -> None:
    with pytest.raises(Invalid):
        await hub_database.write(organisations.create, BY, name)


async def test_of_two_who_want_a_name_one_gets_it(hub_database: Database) -> None:
    attempts = [hub_database.write(organisations.create, BY, "wanted") for _ in range(8)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [result for result in results if isinstance(result, Taken)]
    assert len(refused) == 7
    assert await _actions(hub_database) == ["organisation.created"]


async def test_a_user_is_no_organisation(town: Town) -> None:
    with pytest.raises(Unknown):
        await town.database.write(organisations.delete, BY, "ann")
    with pytest.raises(Unknown):
        await town.database.write(organisations.put_member, BY, "ann", "eve", Role.ADMIN)


async def test_somebody_stays_to_administer_it(town: Town) -> None:
    write = town.database.write
    for attempt in (
        write(organisations.remove_member, BY, "team", "ann"),
        write(organisations.put_member, BY, "team", "ann", Role.WRITE),
        write(organisations.put_member, BY, "team", "ann", None),
    ):
        with pytest.raises(Conflict, match="admin"):
            await attempt
    await write(organisations.put_member, BY, "team", "wil", Role.ADMIN)
    await write(organisations.remove_member, BY, "team", "ann")


async def test_of_two_admins_who_remove_each_other_one_stays(town: Town) -> None:
    await town.database.write(organisations.put_member, BY, "team", "wil", Role.ADMIN)
    results = await asyncio.gather(
        *(
            town.database.write(organisations.remove_member, BY, "team", name)
            for name in ("ann", "wil")
        ),
        return_exceptions=True,
    )
    assert [type(result) for result in results if result is not None] == [Conflict]


async def test_members_lists_by_name(town: Town) -> None:
    page = await town.database.read(members.page, "team", after="ann", limit=1)
    assert [(row.user, row.role) for row in page] == [("rob", None)]
    page = await town.database.read(members.page, "team", after="rob", limit=5)
    assert [(row.user, row.role) for row in page] == [("wil", Role.WRITE)]


async def test_who_leaves_takes_nothing_along(town: Town) -> None:
    write = town.database.write
    await write(grants.give_user, BY, "team/other", "rob", Role.WRITE)
    await write(organisations.remove_member, BY, "team", "rob")
    await write(organisations.put_member, BY, "team", "rob", None)
    assert await town.role("rob", "team/app") is None
    assert await town.role("rob", "team/other") is None


async def test_a_deleted_organisation_leaves_nothing_to_the_next(town: Town) -> None:
    write = town.database.write
    await write(organisations.delete, BY, "team")
    with pytest.raises(Unknown):
        await town.database.read(organisations.find, "team")
    await write(organisations.create, BY, "team", admin=town["eve"].account)
    for who in ("ann", "wil", "rob", "sue"):
        assert await town.role(who, "team/app") is None


async def test_teams(town: Town) -> None:
    write, read = town.database.write, town.database.read
    await write(teams.put, BY, "team", "authors", "They write.", Role.WRITE)
    await write(teams.add_user, BY, "team", "authors", "eve")
    found = await read(teams.find, "team", "authors")
    assert (found.description, found.role, found.members) == ("They write.", Role.WRITE, 1)
    assert await read(teams.users_in, "team", "authors", after="", limit=5) == ["eve"]
    assert await town.rights.belongs(town["eve"], "team")
    listed = await read(teams.page, "team", after="", limit=5)
    assert [(team.name, team.role) for team in listed] == [
        ("authors", Role.WRITE),
        ("readers", None),
    ]
    await write(teams.delete, BY, "team", "authors")
    assert await town.role("eve", "team/app") is None
    with pytest.raises(Unknown):
        await read(teams.find, "team", "authors")
    with pytest.raises(Unknown):
        await write(teams.delete, BY, "team", "authors")


async def test_a_team_of_another_organisation_gets_nothing(town: Town) -> None:
    write = town.database.write
    await write(organisations.create, BY, "rivals", admin=town["eve"].account)
    with pytest.raises(Unknown):
        await write(grants.give_team, BY, "rivals/app", "readers", Role.READ)


async def test_grants_are_listed_and_taken(town: Town) -> None:
    listed = await town.database.read(grants.of_repository, "team/app")
    assert listed == [
        GrantRow("app", "sue", None, Role.MAINTAIN),
        GrantRow("app", None, "readers", Role.READ),
    ]
    assert await town.database.read(grants.of_namespace, "team") == listed
    write = town.database.write
    await write(grants.give_user, BY, "team/app", "sue", Role.READ)
    assert await town.role("sue", "team/app") is Role.READ
    await write(grants.take_from_user, BY, "team/app", "sue")
    await write(grants.take_from_team, BY, "team/app", "readers")
    for attempt in (
        write(grants.take_from_user, BY, "team/app", "sue"),
        write(grants.take_from_team, BY, "team/app", "readers"),
        write(grants.give_user, BY, "nobodys", "sue", Role.READ),
        write(grants.give_user, BY, "nobody/app", "sue", Role.READ),
        write(grants.give_user, BY, "team/app", "nobody", Role.READ),
    ):
        with pytest.raises(Unknown):
            await attempt


async def test_memberships_follow_groups(town: Town) -> None:
    write = town.database.write
    eve = town["eve"].account
    ann = town["ann"].account
    assert eve is not None
    assert ann is not None
    await write(organisations.create, BY, "other", admin=ann)
    await write(members.follow, eve, "https://idp", {"team": Role.WRITE, "other": Role.READ})
    assert await town.role("eve", "team/app") is Role.WRITE
    await write(members.follow, eve, "https://idp", {"team": Role.READ})
    assert await town.role("eve", "team/app") is Role.READ
    assert await town.role("eve", "other/app") is None
    await write(members.follow, ann, "https://idp", {"team": Role.READ})
    assert await town.role("ann", "team/app") is Role.ADMIN, "given by hand"
    await write(members.follow, eve, "https://idp", {})
    assert not await town.rights.belongs(town["eve"], "team")


async def test_organisations_are_listed(town: Town) -> None:
    await town.database.write(organisations.create, BY, "alpha")
    read = town.database.read
    every = await read(namespaces.organisations, after="", limit=10)
    assert [row.name for row in every] == ["alpha", "team"]
    rob = town["rob"].account
    assert rob is not None
    mine = await read(namespaces.organisations_of, rob, after="", limit=10)
    assert [row.name for row in mine] == ["team"]
    assert [row.name for row in await read(namespaces.organisations, after="alpha", limit=1)] == [
        "team"
    ]


async def test_every_change_is_told(town: Town) -> None:
    before = len(await _actions(town.database))
    write = town.database.write
    await write(organisations.describe, BY, "team", "The team", "What they do")
    await write(organisations.put_member, BY, "team", "eve", Role.READ)
    await write(organisations.remove_member, BY, "team", "eve")
    await write(teams.put, BY, "team", "new", "", None)
    await write(teams.add_user, BY, "team", "new", "rob")
    await write(teams.remove_user, BY, "team", "new", "rob")
    await write(teams.delete, BY, "team", "new")
    await write(grants.give_user, BY, "team/app", "eve", Role.READ)
    await write(grants.take_from_user, BY, "team/app", "eve")
    await write(organisations.delete, BY, "team")
    assert (await _actions(town.database))[before:] == [
        "organisation.described",
        "member.set",
        "member.removed",
        "team.set",
        "team.joined",
        "team.left",
        "team.deleted",
        "grant.set",
        "grant.removed",
        "organisation.deleted",
    ]
    entries = await town.database.read(audit.find, Search(namespace="team"), limit=1)
    assert entries[0].by == BY


async def test_what_fails_is_not_told(town: Town) -> None:
    before = await _actions(town.database)
    with pytest.raises(Conflict):
        await town.database.write(organisations.remove_member, BY, "team", "ann")
    with pytest.raises(Unknown):
        await town.database.write(organisations.put_member, BY, "team", "nobody", Role.READ)
    assert await _actions(town.database) == before


async def test_a_new_user_has_a_namespace(hub_database: Database) -> None:
    caller = await add_user(hub_database, "zoe")
    found = await hub_database.read(namespaces.find, "zoe")
    assert found is not None
    assert found.user_id == caller.account
    assert not found.is_organisation
