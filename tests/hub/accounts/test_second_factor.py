"""The second factor: codes that are taken once, recovery codes, and what it closes."""

from __future__ import annotations

import pyotp
import pytest

from registry_server.auth.access import CredentialsRefused, TooManyLogins
from registry_server.hub.accounts import Accounts, logins
from registry_server.hub.accounts.second_factor import RECOVERY_CODES, SecondFactor
from registry_server.hub.accounts.sessions import Opened
from registry_server.hub.accounts.signing_in import CodeNeeded, CodeRefused
from registry_server.hub.errors import Conflict, Invalid, Unknown
from registry_server.hub.records import login_failures
from registry_server.hub.records.login_failures import FREE
from registry_server.hub.records.users import User
from registry_storage.databases import Database
from tests.hub.accounts.conftest import all_rows, run_sql
from tests.hub.accounts.people import ADDRESS, BY, FIREFOX, PASSWORD, log_in


class Clock:
    """Time that stands still until it is moved."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_steps(self, number: int) -> None:
        self.now += 30 * number


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, accounts: Accounts) -> Clock:
    """Of the machine that checks the codes."""
    clock = Clock()
    monkeypatch.setattr(accounts.second_factor, "_clock", clock)
    return clock


@pytest.fixture
def factor(accounts: Accounts) -> SecondFactor:
    return accounts.second_factor


class Authenticator:
    """What people have on their phones."""

    def __init__(self, seed: str, clock: Clock) -> None:
        self._totp = pyotp.TOTP(seed)
        self._clock = clock

    def code(self, steps_off: int = 0) -> str:
        return self._totp.at(int(self._clock.now) + 30 * steps_off)


async def enrol(accounts: Accounts, user: User, clock: Clock) -> tuple[Authenticator, list[str]]:
    offer = await accounts.second_factor.offer(user)
    phone = Authenticator(offer.seed, clock)
    codes = await accounts.second_factor.confirm(BY, user, phone.code())
    clock.pass_steps(1)
    return phone, codes


async def test_the_offer_is_what_authenticators_read(factor: SecondFactor, ann: User) -> None:
    offer = await factor.offer(ann)
    read = pyotp.parse_uri(offer.uri)
    assert (read.secret, read.name, read.issuer) == (offer.seed, "ann", "registry")


async def test_nothing_is_in_force_before_a_code_was_shown(
    accounts: Accounts, factor: SecondFactor, ann: User, clock: Clock
) -> None:
    offer = await factor.offer(ann)
    phone = Authenticator(offer.seed, clock)
    assert not await factor.verify(ann, phone.code())
    with pytest.raises(Invalid):
        await factor.confirm(BY, ann, "000000" if phone.code() != "000000" else "111111")
    await log_in(accounts)
    codes = await factor.confirm(BY, ann, phone.code())
    assert len(set(codes)) == RECOVERY_CODES
    assert (await accounts.users.find("ann")).has_second_factor
    with pytest.raises(Conflict):
        await factor.offer(ann)
    with pytest.raises(Conflict):
        await factor.confirm(BY, ann, phone.code(1))


async def test_no_code_is_taken_twice(
    accounts: Accounts, factor: SecondFactor, ann: User, clock: Clock
) -> None:
    offer = await factor.offer(ann)
    phone = Authenticator(offer.seed, clock)
    await factor.confirm(BY, ann, phone.code())
    assert not await factor.verify(ann, phone.code())
    clock.pass_steps(1)
    assert await factor.verify(ann, phone.code())
    assert not await factor.verify(ann, phone.code())
    assert not await factor.verify(ann, phone.code(-1))


async def test_a_clock_may_be_off_by_a_step(
    accounts: Accounts, factor: SecondFactor, ann: User, clock: Clock
) -> None:
    phone, _ = await enrol(accounts, ann, clock)
    clock.pass_steps(10)
    for off, is_taken in [(-2, False), (2, False), (-1, True), (1, True), (0, False)]:
        assert await factor.verify(ann, phone.code(off)) is is_taken


async def test_codes_may_be_typed_with_spaces(
    accounts: Accounts, factor: SecondFactor, ann: User, clock: Clock
) -> None:
    phone, codes = await enrol(accounts, ann, clock)
    code = phone.code()
    assert await factor.verify(ann, f" {code[:3]} {code[3:]} ")
    assert await factor.verify(ann, codes[0].upper().replace("-", " "))


@pytest.mark.parametrize("code", ["", "0", "x", "-", "٠٠٠٠٠٠", "\ud800", "1" * 1000])
async def test_what_is_no_code(
    accounts: Accounts, factor: SecondFactor, ann: User, clock: Clock, code: str
) -> None:
    await enrol(accounts, ann, clock)
    assert not await factor.verify(ann, code)


async def test_recovery_codes_work_once_each(
    accounts: Accounts, factor: SecondFactor, ann: User, clock: Clock, hub_database: Database
) -> None:
    _, codes = await enrol(accounts, ann, clock)
    assert await factor.verify(ann, codes[3])
    assert not await factor.verify(ann, codes[3])
    assert await factor.codes_left(ann) == RECOVERY_CODES - 1
    rows = await all_rows(hub_database)
    assert not [code for code in codes if code in rows or code.replace("-", "") in rows]
    renewed = await factor.renew_codes(BY, ann)
    assert not await factor.verify(ann, codes[4])
    assert await factor.verify(ann, renewed[4])


async def test_recovery_codes_are_their_users(
    accounts: Accounts, factor: SecondFactor, ann: User, root: User, clock: Clock
) -> None:
    _, codes = await enrol(accounts, ann, clock)
    await enrol(accounts, root, clock)
    assert not await factor.verify(root, codes[0])


async def test_a_password_alone_is_refused_for_programs_from_then_on(
    accounts: Accounts, ann: User, clock: Clock
) -> None:
    await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    await enrol(accounts, ann, clock)
    with pytest.raises(CredentialsRefused) as caught:
        await accounts.logins.by_password("ann", PASSWORD, ADDRESS)
    assert "access token" in caught.value.told
    _, secret = await accounts.access_tokens.create(BY, ann, "laptop")
    await accounts.logins.by_password("ann", secret, ADDRESS)


async def test_it_ends_the_logins_by_password_alone(
    accounts: Accounts, factor: SecondFactor, ann: User, clock: Clock
) -> None:
    mine, other = await log_in(accounts), await log_in(accounts)
    caller, _ = await accounts.logins.by_session(mine.secret, ADDRESS)
    offer = await factor.offer(ann)
    code = Authenticator(offer.seed, clock).code()
    await factor.confirm(BY, ann, code, keep=caller.credential)
    await accounts.logins.by_session(mine.secret, ADDRESS)
    with pytest.raises(CredentialsRefused):
        await accounts.logins.by_session(other.secret, ADDRESS)


# Logging in


async def begin(accounts: Accounts) -> str:
    found = await accounts.sign_in.by_password("ann", PASSWORD, FIREFOX)
    assert isinstance(found, CodeNeeded)
    return found.secret


async def test_a_login_takes_password_and_code(accounts: Accounts, ann: User, clock: Clock) -> None:
    phone, codes = await enrol(accounts, ann, clock)
    pending = await begin(accounts)
    with pytest.raises(CodeRefused):
        await accounts.sign_in.by_code(pending, "nonsense", FIREFOX)
    opened = await accounts.sign_in.by_code(pending, phone.code(), FIREFOX)
    assert (await accounts.logins.by_session(opened.secret, ADDRESS))[0].name == "ann"
    with pytest.raises(Unknown):
        await accounts.sign_in.by_code(pending, codes[0], FIREFOX)
    at_once = await accounts.sign_in.by_password("ann", PASSWORD, FIREFOX, codes[0])
    assert isinstance(at_once, Opened)


async def test_a_right_password_counts_for_five_minutes(
    accounts: Accounts, ann: User, clock: Clock, hub_database: Database
) -> None:
    phone, _ = await enrol(accounts, ann, clock)
    pending = await begin(accounts)
    await run_sql(hub_database, "UPDATE hub_links SET expires_at = expires_at - 300000")
    with pytest.raises(Unknown, match="too long"):
        await accounts.sign_in.by_code(pending, phone.code(), FIREFOX)


async def test_wrong_codes_lock_the_name(
    accounts: Accounts, ann: User, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_failures, "FIRST_LOCK", 60_000)
    phone, _ = await enrol(accounts, ann, clock)
    pending = await begin(accounts)
    for _ in range(FREE):
        with pytest.raises(CodeRefused):
            await accounts.sign_in.by_code(pending, "nonsense", FIREFOX)
    with pytest.raises(TooManyLogins):
        await accounts.sign_in.by_code(pending, phone.code(), FIREFOX)


async def test_the_password_does_not_make_wrong_codes_forgotten(
    accounts: Accounts, ann: User, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knows it could else try some codes, log in, and try on."""
    monkeypatch.setattr(login_failures, "FIRST_LOCK", 60_000)
    monkeypatch.setattr(logins, "REMEMBERED_SECONDS", 0)
    phone, _ = await enrol(accounts, ann, clock)
    for _ in range(FREE):
        with pytest.raises(CodeRefused):
            await accounts.sign_in.by_code(await begin(accounts), "nonsense", FIREFOX)
    with pytest.raises(TooManyLogins):
        await accounts.sign_in.by_password("ann", PASSWORD, FIREFOX, phone.code())


async def test_a_right_code_makes_wrong_ones_forgotten(
    accounts: Accounts, ann: User, clock: Clock
) -> None:
    phone, _ = await enrol(accounts, ann, clock)
    for _ in range(2):
        for _ in range(FREE - 1):
            with pytest.raises(CodeRefused):
                await accounts.sign_in.by_code(await begin(accounts), "nonsense", FIREFOX)
        await accounts.sign_in.by_code(await begin(accounts), phone.code(), FIREFOX)
        clock.pass_steps(1)


async def test_a_new_password_voids_what_waits_for_a_code(
    accounts: Accounts, ann: User, clock: Clock
) -> None:
    phone, _ = await enrol(accounts, ann, clock)
    pending = await begin(accounts)
    await accounts.users.set_password(BY, ann, "another long password")
    with pytest.raises(Unknown):
        await accounts.sign_in.by_code(pending, phone.code(), FIREFOX)


async def test_a_link_for_the_password_does_not_go_round_it(
    accounts: Accounts, ann: User, clock: Clock
) -> None:
    await enrol(accounts, ann, clock)
    secret = await accounts.links.for_password(BY, ann)
    user = await accounts.links.set_password(secret, "another long password")
    assert await accounts.sign_in.by_link(user, FIREFOX) is None


async def test_it_is_removed_with_the_password(accounts: Accounts, ann: User, clock: Clock) -> None:
    phone, _ = await enrol(accounts, ann, clock)
    opened = await accounts.sign_in.by_code(await begin(accounts), phone.code(), FIREFOX)
    caller, _ = await accounts.logins.by_session(opened.secret, ADDRESS)
    with pytest.raises(Invalid):
        await accounts.sign_in.remove_second_factor(caller, "wrong", FIREFOX)
    renewed = await accounts.sign_in.remove_second_factor(caller, PASSWORD, FIREFOX)
    assert renewed.secret != opened.secret
    await log_in(accounts)
