"""Access tokens and robots: what they may do, when they end, and whose they are."""

from __future__ import annotations

import pytest

from registry_server.auth.access import CredentialsRefused
from registry_server.hub.accounts import Accounts
from registry_server.hub.errors import Conflict, Invalid, Taken, Unknown
from registry_server.hub.organisations import organisations
from registry_server.hub.records import access_tokens, robots
from registry_server.hub.records.users import User
from registry_server.hub.roles import Limit, Role
from registry_server.hub.tokens.refreshing import RefreshTokens
from registry_server.settings.hub import HubSettings
from registry_storage.databases import Database
from tests.hub.accounts.conftest import all_rows, run_sql
from tests.hub.accounts.people import ADDRESS, BY

READ = (Limit("ann/**", Role.READ),)
HOUR = 3600


async def is_good(accounts: Accounts, secret: str) -> bool:
    try:
        await accounts.logins.by_bearer(secret, ADDRESS)
    except CredentialsRefused:
        return False
    return True


# Access tokens


async def test_a_token_is_listed_without_its_secret(
    accounts: Accounts, ann: User, hub_database: Database
) -> None:
    token, secret = await accounts.access_tokens.create(BY, ann, "ci", limits=READ, lifetime=HOUR)
    assert await accounts.access_tokens.of_user(ann) == [token]
    assert token.expires_at == pytest.approx(token.created_at + 1000 * HOUR, abs=1000)
    assert secret.removeprefix("rgp_") not in await all_rows(hub_database)
    assert secret not in repr(token)


async def test_a_token_expires(accounts: Accounts, ann: User, hub_database: Database) -> None:
    _, secret = await accounts.access_tokens.create(BY, ann, "ci", lifetime=HOUR)
    _, other = await accounts.access_tokens.create(BY, ann, "for ever")
    assert await is_good(accounts, secret)
    await run_sql(
        hub_database, "UPDATE hub_access_tokens SET expires_at = expires_at - :hour", hour=3_600_000
    )
    assert not await is_good(accounts, secret)
    assert await is_good(accounts, other)


async def test_a_token_is_revoked_with_what_was_got_by_it(
    accounts: Accounts, ann: User, hub_database: Database, hub_part: HubSettings
) -> None:
    refresh_tokens = RefreshTokens(hub_database, accounts.logins, hub_part.tokens)
    token, secret = await accounts.access_tokens.create(BY, ann, "ci")
    caller = await accounts.logins.by_bearer(secret, ADDRESS)
    kept = await refresh_tokens.issue(BY, caller, "registry", "")
    await refresh_tokens.redeem(kept, ADDRESS)
    await accounts.access_tokens.revoke(BY, ann, token.id)
    assert not await is_good(accounts, secret)
    with pytest.raises(CredentialsRefused):
        await refresh_tokens.redeem(kept, ADDRESS)
    with pytest.raises(Unknown):
        await accounts.access_tokens.revoke(BY, ann, token.id)


async def test_nobody_revokes_the_tokens_of_others(
    accounts: Accounts, ann: User, root: User
) -> None:
    token, secret = await accounts.access_tokens.create(BY, ann, "ci")
    with pytest.raises(Unknown):
        await accounts.access_tokens.revoke(BY, root, token.id)
    assert await is_good(accounts, secret)


async def test_names_of_tokens_are_each_users_own(
    accounts: Accounts, ann: User, root: User
) -> None:
    await accounts.access_tokens.create(BY, ann, "ci")
    await accounts.access_tokens.create(BY, root, "ci")
    with pytest.raises(Taken):
        await accounts.access_tokens.create(BY, ann, "ci")


async def test_tokens_are_not_without_number(
    accounts: Accounts, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_tokens, "MAX_OF_ONE_USER", 1)
    await accounts.access_tokens.create(BY, ann, "one")
    with pytest.raises(Conflict):
        await accounts.access_tokens.create(BY, ann, "two")


@pytest.mark.parametrize("name", ["", " ci", "c\x1bi", "x" * 101])
async def test_what_no_token_is_called(accounts: Accounts, ann: User, name: str) -> None:
    with pytest.raises(Invalid):
        await accounts.access_tokens.create(BY, ann, name)


@pytest.mark.parametrize("lifetime", [0, -1, 1e12, float("inf"), float("nan")])
async def test_what_is_no_end(accounts: Accounts, ann: User, lifetime: float) -> None:
    with pytest.raises(Invalid):
        await accounts.access_tokens.create(BY, ann, "ci", lifetime=lifetime)


@pytest.mark.parametrize("glob", ["", "/ann", "ann//x", "Ann/*", "ann/[a-z]", "a\nb", "x" * 256])
async def test_what_covers_nothing(accounts: Accounts, ann: User, glob: str) -> None:
    with pytest.raises(Invalid):
        await accounts.access_tokens.create(BY, ann, "ci", limits=(Limit(glob, Role.READ),))


# Robots


async def test_a_robot_lives_in_a_namespace_that_there_is(accounts: Accounts, ann: User) -> None:
    robot, _ = await accounts.robots.create(BY, "ann", "ci", READ, description="builds")
    assert robot.login == "ann+ci"
    assert await accounts.robots.page("ann") == [robot]
    with pytest.raises(Unknown):
        await accounts.robots.create(BY, "team", "ci", (Limit("team/**", Role.READ),))
    with pytest.raises(Taken):
        await accounts.robots.create(BY, "ann", "ci", READ)


@pytest.mark.parametrize(
    "limits",
    [
        (),
        (Limit("**", Role.READ),),
        (Limit("bob/**", Role.READ),),
        (Limit("ann", Role.READ),),
        (Limit("ann*/x", Role.READ),),
        (Limit("ann/**", Role.ADMIN),),
        (*READ, Limit("annother/**", Role.READ)),
    ],
)
async def test_a_robot_may_do_nothing_elsewhere(
    accounts: Accounts, ann: User, limits: tuple[Limit, ...]
) -> None:
    with pytest.raises(Invalid):
        await accounts.robots.create(BY, "ann", "ci", limits)
    await accounts.robots.create(BY, "ann", "ci", READ)
    with pytest.raises(Invalid):
        await accounts.robots.change(BY, "ann", "ci", limits, "")


async def test_a_robot_changes(accounts: Accounts, ann: User) -> None:
    _, secret = await accounts.robots.create(BY, "ann", "ci", READ)
    write = (Limit("ann/app", Role.WRITE),)
    await accounts.robots.change(BY, "ann", "ci", write, "pushes")
    assert (await accounts.logins.by_bearer(secret, ADDRESS)).limits == write


async def test_a_robots_secret_is_renewed(
    accounts: Accounts, ann: User, hub_database: Database, hub_part: HubSettings
) -> None:
    refresh_tokens = RefreshTokens(hub_database, accounts.logins, hub_part.tokens)
    _, secret = await accounts.robots.create(BY, "ann", "ci", READ)
    caller = await accounts.logins.by_bearer(secret, ADDRESS)
    kept = await refresh_tokens.issue(BY, caller, "registry", "")
    renewed = await accounts.robots.renew_secret(BY, "ann", "ci")
    assert not await is_good(accounts, secret)
    assert await is_good(accounts, renewed)
    with pytest.raises(CredentialsRefused):
        await refresh_tokens.redeem(kept, ADDRESS)
    assert renewed.removeprefix("rgr_") not in await all_rows(hub_database)


async def test_a_robot_is_disabled_expires_and_is_deleted(
    accounts: Accounts, ann: User, hub_database: Database
) -> None:
    _, secret = await accounts.robots.create(BY, "ann", "ci", READ, lifetime=HOUR)
    await accounts.robots.set_disabled(BY, "ann", "ci", True)
    assert not await is_good(accounts, secret)
    await accounts.robots.set_disabled(BY, "ann", "ci", False)
    assert await is_good(accounts, secret)
    await run_sql(
        hub_database, "UPDATE hub_robots SET expires_at = expires_at - :hour", hour=3_600_000
    )
    assert not await is_good(accounts, secret)
    await accounts.robots.delete(BY, "ann", "ci")
    with pytest.raises(Unknown):
        await accounts.robots.find("ann", "ci")
    for change in (
        accounts.robots.delete(BY, "ann", "ci"),
        accounts.robots.renew_secret(BY, "ann", "ci"),
        accounts.robots.set_disabled(BY, "ann", "ci", True),
        accounts.robots.change(BY, "ann", "ci", READ, ""),
    ):
        with pytest.raises(Unknown):
            await change


async def test_robots_are_not_without_number(
    accounts: Accounts, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robots, "MAX_OF_ONE_NAMESPACE", 1)
    await accounts.robots.create(BY, "ann", "one", READ)
    with pytest.raises(Conflict):
        await accounts.robots.create(BY, "ann", "two", READ)


async def test_robots_go_with_their_organisation(
    accounts: Accounts, hub_database: Database
) -> None:
    await hub_database.write(organisations.create, BY, "team")
    limits = (Limit("team/**", Role.WRITE),)
    _, secret = await accounts.robots.create(BY, "team", "ci", limits)
    assert await is_good(accounts, secret)
    await hub_database.write(organisations.delete, BY, "team")
    assert not await is_good(accounts, secret)
