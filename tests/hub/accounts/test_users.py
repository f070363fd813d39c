"""People: their names, their rank, and that disabling one ends everything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from registry_server.auth.access import CredentialsRefused, TooManyLogins
from registry_server.hub.accounts import Accounts
from registry_server.hub.accounts.users import Users
from registry_server.hub.callers import Kind
from registry_server.hub.errors import Conflict, Invalid, Taken, Unknown
from registry_server.hub.organisations import organisations
from registry_server.hub.records.audit import Search, find
from registry_server.hub.records.users import User
from registry_server.hub.roles import Limit, Role
from registry_server.hub.tokens.refreshing import RefreshTokens
from registry_server.limits import LoginLimit
from registry_server.limits.table import Table
from registry_server.settings.hub import HubSettings
from registry_storage.databases import Database
from tests.hub.accounts.conftest import all_rows, look_up
from tests.hub.accounts.people import ADDRESS, BY, OTHER, PASSWORD, any_name, log_in

LIMITS = (Limit("ann/**", Role.READ),)


@pytest.mark.parametrize(
    "name", ["a", "Ann", "ann/x", "ann+x", "-ann", "ann-", "a..b", "ä" * 3, "", "x" * 65, "a b"]
)
async def test_what_nobody_can_be_called(accounts: Accounts, name: str) -> None:
    with pytest.raises(Invalid):
        await accounts.users.create(BY, name, PASSWORD)


async def test_a_name_is_taken_once(accounts: Accounts, ann: User, hub_database: Database) -> None:
    await hub_database.write(organisations.create, BY, "team")
    for name in ("ann", "team"):
        with pytest.raises(Taken):
            await accounts.users.create(BY, name, PASSWORD)
    assert [user.name for user in await accounts.users.page()] == ["ann"]
    with pytest.raises(Taken):
        await hub_database.write(organisations.create, BY, "ann")


async def test_of_two_who_want_a_name_at_once_one_gets_it(accounts: Accounts) -> None:
    both = [accounts.users.create(BY, "ann") for _ in range(2)]
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert {type(found) for found in outcomes} == {User, Taken}


async def test_users_are_listed_by_the_page(accounts: Accounts) -> None:
    for name in ("cy", "ann", "bob"):
        await accounts.users.create(BY, name)
    assert [user.name for user in await accounts.users.page(limit=2)] == ["ann", "bob"]
    assert [user.name for user in await accounts.users.page("bob", 2)] == ["cy"]


async def test_a_user_is_described_in_lines(accounts: Accounts, ann: User) -> None:
    await accounts.users.describe(BY, ann, "Ann Other", "ann@example.org")
    found = await accounts.users.find("ann")
    assert (found.full_name, found.email) == ("Ann Other", "ann@example.org")
    with pytest.raises(Invalid):
        await accounts.users.describe(BY, ann, "Ann\x1b[31m", "")


async def test_registration_is_closed_unless_it_is_open(
    accounts: Accounts, hub_database: Database
) -> None:
    with pytest.raises(Conflict, match="administrators"):
        await accounts.users.register(BY, "eve", PASSWORD)
    passwords = accounts.users._passwords
    limit = LoginLimit(Table.of_process(), 2)
    users = Users(hub_database, passwords, "open", limit, any_name)
    assert not (await users.register(BY, "eve", PASSWORD)).is_admin
    with pytest.raises(Invalid):
        await users.register(BY, "mallory", "short")
    with pytest.raises(TooManyLogins):
        await users.register(BY, "mallory", PASSWORD)


# Rank


async def test_the_last_administrator_stays(accounts: Accounts, ann: User, root: User) -> None:
    for end in (accounts.users.disable(BY, root), accounts.users.set_admin(BY, root, False)):
        with pytest.raises(Conflict, match="last administrator"):
            await end
    await accounts.users.set_admin(BY, ann, True)
    await accounts.users.disable(BY, root)
    with pytest.raises(Conflict):
        await accounts.users.disable(BY, await accounts.users.find("ann"))


async def test_two_administrators_cannot_end_each_other_at_once(
    accounts: Accounts, root: User, hub_database: Database
) -> None:
    other = await accounts.users.create(BY, "other", is_admin=True)
    both = [accounts.users.disable(BY, user) for user in (root, other)]
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(map(str, outcomes))[0] == "None"
    assert [type(found) for found in outcomes].count(Conflict) == 1


# Disabling


async def test_disabling_ends_everything(
    accounts: Accounts, ann: User, root: User, hub_database: Database, hub_part: HubSettings
) -> None:
    refresh_tokens = RefreshTokens(hub_database, accounts.logins, hub_part.tokens)
    opened = await log_in(accounts)
    token, secret = await accounts.access_tokens.create(BY, ann, "ci")
    robot, robot_secret = await accounts.robots.create(BY, "ann", "ci", LIMITS)
    by_password = await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    by_token = await accounts.logins.by_bearer(secret, ADDRESS)
    kept = [
        await refresh_tokens.issue(BY, caller, "registry", "") for caller in (by_password, by_token)
    ]
    link = await accounts.links.for_password(BY, ann)
    await accounts.users.disable(BY, ann)

    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: accounts.logins.by_session(opened.secret, ADDRESS),
        lambda: accounts.logins.by_password("ann", PASSWORD, ADDRESS),
        lambda: accounts.logins.by_password("ann", secret, ADDRESS),
        lambda: accounts.logins.by_bearer(secret, ADDRESS),
        lambda: accounts.logins.by_bearer(robot_secret, ADDRESS),
        lambda: accounts.logins.current(Kind.USER, ann.id, ""),
        lambda: accounts.logins.current(Kind.USER, ann.id, token.id),
        lambda: accounts.logins.current(Kind.ROBOT, robot.id, ""),
        lambda: refresh_tokens.redeem(kept[0], ADDRESS),
        lambda: refresh_tokens.redeem(kept[1], ADDRESS),
    ]
    for attempt in attempts:
        with pytest.raises(CredentialsRefused):
            await attempt()
    with pytest.raises(Unknown):
        await accounts.links.set_password(link, OTHER)

    await accounts.users.enable(BY, ann)
    await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    for ended in (attempts[0], attempts[3], attempts[8], attempts[9]):
        with pytest.raises(CredentialsRefused):
            await ended()


async def test_a_new_password_ends_logins_by_the_old_one_and_leaves_tokens(
    accounts: Accounts, ann: User, hub_database: Database, hub_part: HubSettings
) -> None:
    refresh_tokens = RefreshTokens(hub_database, accounts.logins, hub_part.tokens)
    _, secret = await accounts.access_tokens.create(BY, ann, "ci")
    by_password = await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    by_token = await accounts.logins.by_bearer(secret, ADDRESS)
    ended, kept = [
        await refresh_tokens.issue(BY, caller, "registry", "") for caller in (by_password, by_token)
    ]
    await accounts.users.set_password(BY, ann, OTHER)
    with pytest.raises(CredentialsRefused):
        await refresh_tokens.redeem(ended, ADDRESS)
    await refresh_tokens.redeem(kept, ADDRESS)
    await accounts.logins.by_bearer(secret, ADDRESS)


# What is kept, and told


async def test_no_password_is_kept_or_told(
    accounts: Accounts, ann: User, hub_database: Database
) -> None:
    rows = await all_rows(hub_database)
    assert PASSWORD not in rows
    assert "argon2" not in repr(ann)


async def test_every_change_is_in_the_audit_log(
    accounts: Accounts, ann: User, root: User, hub_database: Database
) -> None:
    await accounts.users.set_password(BY, ann, OTHER)
    await accounts.users.set_admin(BY, ann, True)
    await accounts.users.disable(BY, ann)
    await accounts.users.enable(BY, ann)
    entries = await hub_database.read(find, Search(target="user:ann"))
    assert [entry.deed.action for entry in reversed(entries)] == [
        "user.created",
        "user.password-set",
        "user.admin-set",
        "user.disabled",
        "user.enabled",
    ]
    assert {entry.by for entry in entries} == {BY}


async def test_what_is_refused_is_not_told_as_done(
    accounts: Accounts, root: User, hub_database: Database
) -> None:
    with pytest.raises(Conflict):
        await accounts.users.disable(BY, root)
    told = "SELECT count(*) FROM hub_audit WHERE action = 'user.disabled'"
    assert await look_up(hub_database, told) == 0
