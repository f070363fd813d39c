"""Whose credentials those are: what is refused looks alike, and guessing does not pay."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from statistics import median

import bcrypt
import pytest

from registry_server.auth.access import CredentialsRefused, TooManyLogins
from registry_server.hub.accounts import Accounts, open_accounts
from registry_server.hub.accounts.passwords import Passwords
from registry_server.hub.callers import Caller, Kind, Via
from registry_server.hub.records import login_failures
from registry_server.hub.records.audit import NOBODY, Search, find
from registry_server.hub.records.login_failures import FREE, LONGEST_LOCK
from registry_server.hub.records.users import User
from registry_server.hub.roles import Limit, Role
from registry_server.limits import LoginLimit
from registry_server.limits.table import Table
from registry_server.settings.hub import HubSettings
from registry_storage.databases import Database
from tests.hub.accounts.conftest import MANY, look_up, run_sql
from tests.hub.accounts.people import ADDRESS, BY, OTHER, PASSWORD, any_name, log_in

LIMITS = (Limit("ann/**", Role.READ),)


async def refused(accounts: Accounts, name: str, password: str) -> str:
    with pytest.raises(CredentialsRefused) as caught:
        await accounts.logins.by_password(name, password, ADDRESS)
    return caught.value.told


async def test_a_password_is_its_users(accounts: Accounts, ann: User) -> None:
    caller = await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    assert caller == Caller(Kind.USER, "ann", ann.id, False, Via.PASSWORD)
    assert (await accounts.users.find("ann")).last_seen_at is not None


async def test_what_is_refused_is_told_alike(accounts: Accounts, ann: User, root: User) -> None:
    """A wrong password, nobody, somebody without a password, disabled, and no name at all."""
    await accounts.users.create(BY, "bob", PASSWORD)
    await accounts.users.disable(BY, await accounts.users.find("bob"))
    told = {
        await refused(accounts, name, password)
        for name, password in [
            ("ann", OTHER),
            ("ann", ""),
            ("nobody", PASSWORD),
            ("root", PASSWORD),
            ("root", ""),
            ("bob", PASSWORD),
            ("", ""),
            ("Ann", PASSWORD),
            ("ann\0", PASSWORD),
            ("ann\ud800", PASSWORD),
            ("x" * 5000, PASSWORD),
        ]
    }
    assert told == {"the user name or the password is wrong"}


@pytest.mark.slow
async def test_who_does_not_exist_is_refused_as_slowly(
    hub_database: Database, hub_part: HubSettings
) -> None:
    """At the true cost, in time of the processor, whatever else the machine does."""
    async with AsyncExitStack() as resources:
        limit = LoginLimit(Table.of_process(), MANY)
        accounts = open_accounts(hub_database, hub_part, limit, resources, any_name)
        await accounts.users.create(BY, "ann", PASSWORD)
        spent: dict[str, list[float]] = {"ann": [], "nobody": []}
        for number in range(9):
            for name, times in spent.items():
                await run_sql(hub_database, "DELETE FROM hub_login_failures")
                began = time.process_time()
                await refused(accounts, name, f"{OTHER} {number}")
                times.append(time.process_time() - began)
    known, unknown = (median(times) for times in spent.values())
    assert abs(known - unknown) < known / 4


# Guessing


@pytest.fixture
def long_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock ends before the test does."""
    monkeypatch.setattr(login_failures, "FIRST_LOCK", 60_000)


@pytest.mark.usefixtures("long_locks")
@pytest.mark.parametrize("name", ["ann", "nobody"])
async def test_wrong_passwords_lock_a_name_whether_anybody_has_it(
    accounts: Accounts, ann: User, hub_database: Database, name: str
) -> None:
    for number in range(FREE):
        await refused(accounts, name, f"{OTHER} {number}")
    with pytest.raises(TooManyLogins) as caught:
        await accounts.logins.by_password(name, PASSWORD, ADDRESS)
    assert caught.value.retry_after == 60
    await run_sql(hub_database, "UPDATE hub_login_failures SET locked_until = 0")
    if name == "ann":
        await accounts.logins.by_password(name, PASSWORD, ADDRESS)
        await refused(accounts, name, OTHER)  # it counts from one again
    else:
        await refused(accounts, name, PASSWORD)


async def test_a_lock_is_in_the_audit_log(
    accounts: Accounts, ann: User, hub_database: Database
) -> None:
    for number in range(FREE + 2):
        with pytest.raises((CredentialsRefused, TooManyLogins)):
            await accounts.logins.by_password("ann", f"{OTHER} {number}", ADDRESS)
    found = await hub_database.read(find, Search(target="user:ann", action="login.locked"))
    assert {(entry.by.actor, entry.by.origin) for entry in found} == {(NOBODY, ADDRESS)}


async def test_a_lock_lasts_longer_each_time_but_not_for_ever(
    accounts: Accounts, hub_database: Database
) -> None:
    waits = []
    for number in range(FREE + 12):
        await refused(accounts, "nobody", f"{OTHER} {number}")
        lock = "SELECT locked_until - failed_at FROM hub_login_failures"
        waits.append(round(await look_up(hub_database, lock) / 1000))
        await run_sql(hub_database, "UPDATE hub_login_failures SET locked_until = 0")
    assert waits[FREE - 1 :][:5] == [1, 2, 4, 8, 16]
    assert set(waits[-3:]) == {LONGEST_LOCK // 1000}


async def test_failures_are_forgotten_after_an_hour(
    accounts: Accounts, hub_database: Database
) -> None:
    for number in range(FREE):
        await refused(accounts, "nobody", f"{OTHER} {number}")
    hour = 3_600_000
    await run_sql(
        hub_database,
        "UPDATE hub_login_failures SET failed_at = failed_at - :hour, locked_until = 0",
        hour=hour,
    )
    await refused(accounts, "nobody", OTHER)
    await accounts.logins.refuse_locked("nobody")


@pytest.mark.usefixtures("long_locks")
async def test_many_guesses_at_once_gain_nothing(accounts: Accounts, ann: User) -> None:
    """The right one among them is refused: by then the name is locked."""
    guesses = [f"{OTHER} {number}" for number in range(12)]
    wrong = [accounts.logins.by_password("ann", guess, ADDRESS) for guess in guesses]
    outcomes = await asyncio.gather(*wrong, return_exceptions=True)
    assert all(isinstance(found, CredentialsRefused | TooManyLogins) for found in outcomes)
    with pytest.raises(TooManyLogins):
        await accounts.logins.by_password("ann", PASSWORD, ADDRESS)


@pytest.mark.usefixtures("long_locks")
async def test_a_right_password_that_was_waiting_when_the_lock_came_is_refused(
    accounts: Accounts, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Passwords.verify

    async def others_fail_meanwhile(self: Passwords, hashed: str | None, password: str) -> bool:
        for _ in range(FREE):
            await accounts.logins.count_failure("ann", ADDRESS)
        return await verify(self, hashed, password)

    monkeypatch.setattr(Passwords, "verify", others_fail_meanwhile)
    with pytest.raises(TooManyLogins):
        await accounts.logins.by_password("ann", PASSWORD, ADDRESS)


async def test_an_address_may_fail_so_often(
    hub_database: Database, hub_part: HubSettings, cheap_passwords: None
) -> None:
    async with AsyncExitStack() as resources:
        limit = LoginLimit(Table.of_process(), 2)
        accounts = open_accounts(hub_database, hub_part, limit, resources, any_name)
        await refused(accounts, "nobody", PASSWORD)
        await refused(accounts, "nobody", OTHER)
        with pytest.raises(TooManyLogins):
            await accounts.logins.by_password("nobody", PASSWORD, ADDRESS)
        await accounts.users.create(BY, "ann", PASSWORD)
        await accounts.logins.by_password("ann", PASSWORD, ADDRESS)


# Remembering


async def test_a_right_password_is_not_hashed_again_within_a_minute(
    accounts: Accounts, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = [accounts.logins.by_password("ann", PASSWORD, ADDRESS) for _ in range(5)]
    await asyncio.gather(*at_once)

    async def not_again(self: Passwords, hashed: str | None, password: str) -> bool:
        raise AssertionError

    monkeypatch.setattr(Passwords, "verify", not_again)
    await accounts.logins.by_password("ann", PASSWORD, ADDRESS)


async def test_what_is_remembered_ends_with_the_password(accounts: Accounts, ann: User) -> None:
    await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    await accounts.users.set_password(BY, ann, OTHER)
    await refused(accounts, "ann", PASSWORD)
    await accounts.logins.by_password("ann", OTHER, ADDRESS)


async def test_what_is_remembered_ends_with_the_account(
    accounts: Accounts, ann: User, root: User
) -> None:
    await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    await accounts.users.disable(BY, ann)
    await refused(accounts, "ann", PASSWORD)


# Passwords that others have hashed


async def test_a_password_of_htpasswd_is_kept_better_after_a_login(
    accounts: Accounts, hub_database: Database
) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    await accounts.users.take_over(BY, "ann", hashed)
    await refused(accounts, "ann", OTHER)
    assert (await accounts.users.find("ann")).password_hash == hashed
    await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    assert ((await accounts.users.find("ann")).password_hash or "").startswith("$argon2id$")
    await accounts.logins.by_password("ann", PASSWORD, ADDRESS)


# Tokens


async def test_an_access_token_stands_for_its_user(accounts: Accounts, ann: User) -> None:
    token, secret = await accounts.access_tokens.create(BY, ann, "ci", limits=LIMITS)
    expected = Caller(Kind.USER, "ann", ann.id, False, Via.ACCESS_TOKEN, token.id, LIMITS)
    assert await accounts.logins.by_bearer(secret, ADDRESS) == expected
    assert await accounts.logins.by_password("ann", secret, ADDRESS) == expected
    [listed] = await accounts.access_tokens.of_user(ann)
    assert listed.used_at is not None
    assert listed.used_from == ADDRESS


async def test_a_token_is_no_password_of_others(accounts: Accounts, ann: User, root: User) -> None:
    _, secret = await accounts.access_tokens.create(BY, ann, "ci")
    await refused(accounts, "root", secret)
    await refused(accounts, "", secret)


@pytest.mark.parametrize("secret", ["", "rgp_", "rgp_" + "x" * 43, "rgr_" + "x" * 43, PASSWORD])
async def test_what_is_no_token_is_refused(accounts: Accounts, ann: User, secret: str) -> None:
    with pytest.raises(CredentialsRefused):
        await accounts.logins.by_bearer(secret, ADDRESS)


async def test_each_secret_is_good_for_its_own_purpose_only(accounts: Accounts, ann: User) -> None:
    """A session's is no token, and a token is no session."""
    opened = await log_in(accounts)
    _, secret = await accounts.access_tokens.create(BY, ann, "ci")
    for wrong in (
        accounts.logins.by_bearer(opened.secret, ""),
        accounts.logins.by_session(secret, ""),
    ):
        with pytest.raises(CredentialsRefused):
            await wrong
    await refused(accounts, "ann", opened.secret)


async def test_a_robot_is_called_by_its_namespace(accounts: Accounts, ann: User) -> None:
    robot, secret = await accounts.robots.create(BY, "ann", "ci", LIMITS)
    caller = await accounts.logins.by_password("ann+ci", secret, ADDRESS)
    expected = Caller(Kind.ROBOT, "ann+ci", robot.id, via=Via.ROBOT_SECRET, limits=LIMITS)
    assert caller == expected
    assert await accounts.logins.current(Kind.ROBOT, robot.id, "") == expected
    await refused(accounts, "ann", secret)
    assert (await accounts.robots.find("ann", "ci")).used_from == ADDRESS


async def test_current_tells_what_has_become_of_an_account(
    accounts: Accounts, ann: User, root: User
) -> None:
    logins = accounts.logins
    token, _ = await accounts.access_tokens.create(BY, ann, "ci", limits=LIMITS)
    assert (await logins.current(Kind.USER, ann.id, "")).limits is None
    assert (await logins.current(Kind.USER, ann.id, token.id)).limits == LIMITS
    await accounts.access_tokens.revoke(BY, ann, token.id)
    with pytest.raises(CredentialsRefused):
        await logins.current(Kind.USER, ann.id, token.id)
    await accounts.users.disable(BY, ann)
    with pytest.raises(CredentialsRefused):
        await logins.current(Kind.USER, ann.id, "")
    with pytest.raises(CredentialsRefused):
        await logins.current(Kind.ROBOT, 4711, "")
