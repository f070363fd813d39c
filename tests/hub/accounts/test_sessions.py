"""Sessions of browsers: how they begin, go on by another secret, and end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry_server.auth.access import CredentialsRefused
from registry_server.hub.accounts import Accounts
from registry_server.hub.callers import Caller, Kind, Via
from registry_server.hub.errors import Invalid, Unknown
from registry_server.hub.records.audit import Search, find
from registry_server.hub.records.users import User
from registry_storage.databases import Database
from tests.hub.accounts.conftest import all_rows, run_sql
from tests.hub.accounts.people import ADDRESS, BY, FIREFOX, OTHER, PASSWORD, log_in


async def has_ended(accounts: Accounts, secret: str) -> bool:
    try:
        await accounts.logins.by_session(secret, ADDRESS)
    except CredentialsRefused:
        return True
    return False


async def caller_in(accounts: Accounts, secret: str) -> Caller:
    caller, _ = await accounts.logins.by_session(secret, ADDRESS)
    return caller


async def test_a_session_stands_for_its_user(accounts: Accounts, ann: User) -> None:
    opened = await log_in(accounts)
    caller, csrf = await accounts.logins.by_session(opened.secret, ADDRESS)
    [listed] = await accounts.sessions.of_user(ann.id)
    assert caller == Caller(Kind.USER, "ann", ann.id, False, Via.SESSION, listed.id)
    assert csrf == opened.csrf
    assert (listed.origin, listed.user_agent) == (FIREFOX.origin, FIREFOX.user_agent)


async def test_a_browser_may_call_itself_what_it_likes(accounts: Accounts, ann: User) -> None:
    browser = replace(FIREFOX, user_agent="Fire\udcff\x00\x1bfox" + "x" * 1000)
    await accounts.sign_in.by_password("ann", PASSWORD, browser)
    [listed] = await accounts.sessions.of_user(ann.id)
    assert listed.user_agent == ("Firefox" + "x" * 1000)[:300]


async def test_no_two_logins_have_the_same_secrets(accounts: Accounts, ann: User) -> None:
    first, second = await log_in(accounts), await log_in(accounts)
    assert first.secret != second.secret
    assert first.csrf != second.csrf


async def test_a_login_ends_the_session_that_the_browser_had(accounts: Accounts, ann: User) -> None:
    """A secret that somebody planted in the browser before is worth nothing after."""
    first = await log_in(accounts)
    browser = replace(FIREFOX, session=first.secret)
    await accounts.sign_in.by_password("ann", PASSWORD, browser)
    assert await has_ended(accounts, first.secret)


async def test_only_hashes_are_kept(accounts: Accounts, ann: User, hub_database: Database) -> None:
    opened = await log_in(accounts)
    rows = await all_rows(hub_database)
    assert opened.secret not in rows
    assert opened.secret.removeprefix("rgs_") not in rows
    assert opened.csrf not in rows


async def test_a_session_ends_with_the_logout(accounts: Accounts, ann: User) -> None:
    opened, other = await log_in(accounts), await log_in(accounts)
    await accounts.sessions.end(opened.secret)
    assert await has_ended(accounts, opened.secret)
    assert not await has_ended(accounts, other.secret)


async def test_a_session_ends_when_nobody_uses_it(
    accounts: Accounts, ann: User, hub_database: Database
) -> None:
    opened = await log_in(accounts)
    for minutes in (29, 29):
        back = "UPDATE hub_sessions SET seen_at = seen_at - :passed"
        await run_sql(hub_database, back, passed=minutes * 60_000)
        assert not await has_ended(accounts, opened.secret)  # and that is a use of it
    await run_sql(hub_database, back, passed=30 * 60_000)
    assert await has_ended(accounts, opened.secret)
    assert await accounts.sessions.of_user(ann.id) == []


async def test_a_session_ends_however_much_it_is_used(
    accounts: Accounts, ann: User, hub_database: Database
) -> None:
    opened = await log_in(accounts)
    back = "UPDATE hub_sessions SET expires_at = expires_at - :passed"
    await run_sql(hub_database, back, passed=12 * 3_600_000 - 60_000)
    assert not await has_ended(accounts, opened.secret)
    await run_sql(hub_database, back, passed=60_000)
    assert await has_ended(accounts, opened.secret)


async def test_a_new_password_ends_all_sessions_but_the_one_that_it_is_set_in(
    accounts: Accounts, ann: User
) -> None:
    mine, other = await log_in(accounts), await log_in(accounts)
    caller = await caller_in(accounts, mine.secret)
    renewed = await accounts.sign_in.change_password(caller, PASSWORD, OTHER, FIREFOX)
    assert await has_ended(accounts, other.secret)
    assert await has_ended(accounts, mine.secret)
    assert (await caller_in(accounts, renewed.secret)).name == "ann"
    assert renewed.csrf != mine.csrf
    await log_in(accounts, "ann", OTHER)


async def test_a_new_password_takes_the_old_one(accounts: Accounts, ann: User) -> None:
    opened = await log_in(accounts)
    caller = await caller_in(accounts, opened.secret)
    with pytest.raises(Invalid, match="not your password"):
        await accounts.sign_in.change_password(caller, OTHER, "yet another password", FIREFOX)
    with pytest.raises(Invalid, match="at least 12"):
        await accounts.sign_in.change_password(caller, PASSWORD, "short", FIREFOX)
    assert not await has_ended(accounts, opened.secret)


async def test_another_rank_ends_sessions(accounts: Accounts, ann: User, root: User) -> None:
    opened = await log_in(accounts)
    await accounts.users.set_admin(BY, ann, True)
    assert await has_ended(accounts, opened.secret)
    opened = await log_in(accounts)
    assert (await caller_in(accounts, opened.secret)).is_admin


async def test_sessions_are_revoked_one_by_one_and_all(accounts: Accounts, ann: User) -> None:
    first, second, third = [await log_in(accounts) for _ in range(3)]
    ids = [(await caller_in(accounts, found.secret)).credential for found in (first, second)]
    await accounts.sessions.revoke(BY, ann, ids[0])
    with pytest.raises(Unknown):
        await accounts.sessions.revoke(BY, ann, ids[0])
    assert await has_ended(accounts, first.secret)
    await accounts.sessions.revoke_all(BY, ann, keep=ids[1])
    assert not await has_ended(accounts, second.secret)
    assert await has_ended(accounts, third.secret)


async def test_nobody_revokes_the_sessions_of_others(
    accounts: Accounts, ann: User, root: User
) -> None:
    opened = await log_in(accounts)
    caller = await caller_in(accounts, opened.secret)
    with pytest.raises(Unknown):
        await accounts.sessions.revoke(BY, root, caller.credential)
    assert not await has_ended(accounts, opened.secret)


async def test_logins_are_in_the_audit_log(
    accounts: Accounts, ann: User, hub_database: Database
) -> None:
    await log_in(accounts)
    [entry] = await hub_database.read(find, Search(action="user.login"))
    assert (entry.by.actor, entry.by.origin) == ("ann", ADDRESS)
    assert entry.deed.target == "user:ann"
