"""Links that work once: the first admin, invitations, passwords."""

from __future__ import annotations

import asyncio

import pytest

from registry_server.auth.access import CredentialsRefused
from registry_server.hub.accounts import Accounts
from registry_server.hub.accounts.links import Invitation
from registry_server.hub.errors import Conflict, Invalid, Taken, Unknown
from registry_server.hub.organisations import organisations
from registry_server.hub.records.links import Purpose
from registry_server.hub.records.users import User
from registry_server.hub.roles import Role
from registry_storage.databases import Database
from tests.hub.accounts.conftest import all_rows, look_up, run_sql
from tests.hub.accounts.people import ADDRESS, BY, FIREFOX, OTHER, PASSWORD, log_in

DAY = 24 * 3_600_000


async def first_admin(accounts: Accounts) -> str:
    secret = await accounts.links.first_admin()
    assert secret is not None
    return secret


async def pass_time(database: Database, milliseconds: int) -> None:
    await run_sql(
        database, "UPDATE hub_links SET expires_at = expires_at - :passed", passed=milliseconds
    )


async def test_the_first_admin_makes_an_account_once(accounts: Accounts) -> None:
    earlier, secret = await first_admin(accounts), await first_admin(accounts)
    assert (await accounts.links.find(secret)).purpose is Purpose.FIRST_ADMIN
    user = await accounts.links.accept(secret, "root", PASSWORD)
    assert user.is_admin
    assert await accounts.links.first_admin() is None
    for used in (secret, earlier):
        with pytest.raises(Unknown):
            await accounts.links.find(used)
        with pytest.raises(Unknown):
            await accounts.links.accept(used, "eve", PASSWORD)


async def test_an_admin_made_elsewhere_makes_the_link_void(accounts: Accounts, root: User) -> None:
    assert await accounts.links.first_admin() is None


async def test_a_link_that_is_open_when_an_admin_comes_makes_no_second_one(
    accounts: Accounts,
) -> None:
    secret = await first_admin(accounts)
    await accounts.users.create(BY, "root", is_admin=True)
    with pytest.raises(Unknown):
        await accounts.links.accept(secret, "eve", PASSWORD)


async def test_of_two_who_use_a_link_at_once_one_wins(accounts: Accounts) -> None:
    secret = await first_admin(accounts)
    both = [accounts.links.accept(secret, name, PASSWORD) for name in ("ann", "eve")]
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert {type(found) for found in outcomes} == {User, Unknown}
    assert len(await accounts.users.page()) == 1


async def test_two_links_used_at_once_make_one_first_administrator(accounts: Accounts) -> None:
    secrets = [await first_admin(accounts) for _ in range(2)]
    both = [
        accounts.links.accept(secret, name, PASSWORD)
        for secret, name in zip(secrets, ("ann", "eve"), strict=True)
    ]
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert {type(found) for found in outcomes} == {User, Unknown}
    assert len(await accounts.users.page()) == 1


async def test_a_link_outlives_mistakes(accounts: Accounts, ann: User) -> None:
    secret = await first_admin(accounts)
    for name, password, error in [
        ("root", "short", Invalid),
        ("Root", PASSWORD, Invalid),
        ("root/x", PASSWORD, Invalid),
        ("r", PASSWORD, Invalid),
        ("ann", PASSWORD, Taken),
    ]:
        with pytest.raises(error):
            await accounts.links.accept(secret, name, password)
    assert (await accounts.links.accept(secret, "root", PASSWORD)).is_admin


async def test_a_link_expires(accounts: Accounts, hub_database: Database) -> None:
    secret = await first_admin(accounts)
    await pass_time(hub_database, DAY)
    with pytest.raises(Unknown):
        await accounts.links.accept(secret, "root", PASSWORD)
    await first_admin(accounts)
    assert await look_up(hub_database, "SELECT count(*) FROM hub_links") == 1


@pytest.mark.parametrize("secret", ["", "rgl_", "rgl_" + "x" * 43, "rgs_" + "x" * 43, "\ud800"])
async def test_what_is_no_link(accounts: Accounts, secret: str) -> None:
    with pytest.raises(Unknown):
        await accounts.links.find(secret)
    with pytest.raises(Unknown):
        await accounts.links.accept(secret, "root", PASSWORD)
    with pytest.raises(Unknown):
        await accounts.links.set_password(secret, PASSWORD)


async def test_only_its_hash_is_kept(accounts: Accounts, hub_database: Database) -> None:
    secret = await first_admin(accounts)
    assert secret.removeprefix("rgl_") not in await all_rows(hub_database)


# Invitations


async def test_an_invitation_makes_a_member(
    accounts: Accounts, root: User, hub_database: Database
) -> None:
    await hub_database.write(organisations.create, BY, "team")
    link, secret = await accounts.links.invite(BY, Invitation("team", Role.WRITE, note="for Ann"))
    assert [found.id for found in await accounts.links.invitations()] == [link.id]
    assert (await accounts.links.find(secret)).organisation == "team"
    user = await accounts.links.accept(secret, "ann", PASSWORD)
    assert not user.is_admin
    role = "SELECT role FROM hub_members WHERE namespace = 'team'"
    assert await look_up(hub_database, role) == "write"
    assert await accounts.links.invitations() == []


async def test_an_invitation_into_what_is_gone_makes_an_account_all_the_same(
    accounts: Accounts, root: User, hub_database: Database
) -> None:
    await hub_database.write(organisations.create, BY, "team")
    _, secret = await accounts.links.invite(BY, Invitation("team", Role.WRITE))
    await hub_database.write(organisations.delete, BY, "team")
    await accounts.links.accept(secret, "ann", PASSWORD)
    assert await look_up(hub_database, "SELECT count(*) FROM hub_members") == 0


async def test_nobody_is_invited_into_what_is_no_organisation(
    accounts: Accounts, ann: User
) -> None:
    for name in ("team", "ann"):
        with pytest.raises(Unknown):
            await accounts.links.invite(BY, Invitation(name, Role.READ))


async def test_an_invitation_can_be_revoked(accounts: Accounts, root: User) -> None:
    link, secret = await accounts.links.invite(BY, Invitation())
    await accounts.links.revoke_invitation(BY, link.id)
    with pytest.raises(Unknown):
        await accounts.links.accept(secret, "ann", PASSWORD)
    with pytest.raises(Unknown):
        await accounts.links.revoke_invitation(BY, link.id)


# Passwords


async def test_a_link_sets_a_password_once_and_ends_what_the_old_one_began(
    accounts: Accounts, ann: User
) -> None:
    opened = await log_in(accounts)
    secret = await accounts.links.for_password(BY, ann)
    assert (await accounts.links.find(secret)).user == "ann"
    with pytest.raises(Invalid):
        await accounts.links.set_password(secret, "short")
    await accounts.links.set_password(secret, OTHER)
    with pytest.raises(CredentialsRefused):
        await accounts.logins.by_session(opened.secret, ADDRESS)
    with pytest.raises(CredentialsRefused):
        await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    await log_in(accounts, "ann", OTHER)
    with pytest.raises(Unknown):
        await accounts.links.set_password(secret, PASSWORD)


async def test_the_newest_link_counts(accounts: Accounts, ann: User) -> None:
    earlier, secret = [await accounts.links.for_password(BY, ann) for _ in range(2)]
    with pytest.raises(Unknown):
        await accounts.links.set_password(earlier, OTHER)
    await accounts.links.set_password(secret, OTHER)


async def test_each_link_is_for_its_own_purpose(accounts: Accounts, ann: User) -> None:
    first = await first_admin(accounts)
    for_password = await accounts.links.for_password(BY, ann)
    for_code = await accounts.links.for_code(ann)
    with pytest.raises(Unknown):
        await accounts.links.set_password(first, PASSWORD)
    with pytest.raises(Unknown):
        await accounts.links.accept(for_password, "eve", PASSWORD)
    for use in (
        accounts.links.find(for_code),
        accounts.links.set_password(for_code, PASSWORD),
        accounts.links.accept(for_code, "eve", PASSWORD),
        accounts.links.user_for_code(for_password),
        accounts.sign_in.by_code(first, "123456", FIREFOX),
    ):
        with pytest.raises(Unknown):
            await use
    assert (await accounts.links.set_password(for_password, OTHER)).name == "ann"


async def test_who_is_disabled_gets_no_link(accounts: Accounts, ann: User, root: User) -> None:
    secret = await accounts.links.for_password(BY, ann)
    await accounts.users.disable(BY, ann)
    with pytest.raises(Unknown):
        await accounts.links.set_password(secret, OTHER)
    with pytest.raises(Conflict):
        await accounts.links.for_password(BY, await accounts.users.find("ann"))
