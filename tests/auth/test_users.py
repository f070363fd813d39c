"""Logging in: what is paid, what is remembered, and what a changed file does."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from registry_server.auth import (
    ANONYMOUS,
    Action,
    CredentialsRefused,
    OpenAccess,
    Subject,
    TooManyLogins,
    UserAccess,
    make_access,
)
from registry_server.auth import users as users_module
from registry_server.auth.htpasswd import Passwords
from registry_server.limits import Limits
from registry_server.settings.model import AuthSettings, HtpasswdSettings
from registry_storage.errors import ConfigurationInvalid

from .conftest import FAILURES, Clock, basic, entry, rewrite

ANN = basic("ann", "secret")
LOGINS = Limits.of_process().logins


class CountedBcrypt:
    """Counts verifications, and lets them wait for `go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.threads: set[str] = set()
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        original = Passwords.verify

        def verify(passwords: Passwords, name: str, password: str) -> bool:
            self.count += 1
            self.threads.add(threading.current_thread().name)
            self.begun.set()
            assert self.go.wait(10)
            return original(passwords, name, password)

        monkeypatch.setattr(Passwords, "verify", verify)


@pytest.fixture
def bcrypt_calls(monkeypatch: pytest.MonkeyPatch) -> CountedBcrypt:
    return CountedBcrypt(monkeypatch)


async def test_a_login_is_remembered_for_a_minute(
    access: UserAccess, clock: Clock, bcrypt_calls: CountedBcrypt
) -> None:
    assert access.identify_cached(ANN) is None
    assert await access.identify(ANN) == Subject("ann")
    assert access.identify_cached(ANN) == Subject("ann")
    clock.now += 59
    assert await access.identify(ANN) == Subject("ann")
    assert bcrypt_calls.count == 1
    clock.now += 2
    assert access.identify_cached(ANN) is None
    await access.identify(ANN)
    assert bcrypt_calls.count == 2


async def test_bcrypt_runs_beside_the_event_loop(
    access: UserAccess, bcrypt_calls: CountedBcrypt
) -> None:
    await access.identify(ANN)
    assert all(name.startswith("bcrypt") for name in bcrypt_calls.threads)


async def test_equal_logins_at_once_are_verified_once(
    access: UserAccess, bcrypt_calls: CountedBcrypt
) -> None:
    bcrypt_calls.go.clear()
    logins = [asyncio.create_task(access.identify(ANN)) for _ in range(100)]
    await asyncio.sleep(0)
    logins[0].cancel()
    bcrypt_calls.go.set()
    answers = await asyncio.gather(*logins[1:])
    assert set(answers) == {Subject("ann")}
    assert bcrypt_calls.count == 1


@pytest.mark.parametrize("header", [basic("ann", "wrong"), basic("nobody", "secret"), "Basic %"])
async def test_wrong_credentials_are_never_anonymous(access: UserAccess, header: str) -> None:
    with pytest.raises(CredentialsRefused):
        await access.identify(header)
    assert access.identify_cached(header) is None


async def test_unknown_name_and_wrong_password_read_alike(access: UserAccess) -> None:
    said = []
    for header in (basic("ann", "wrong"), basic("nobody", "secret")):
        with pytest.raises(CredentialsRefused) as caught:
            await access.identify(header)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("header", [None, basic("", "")])
async def test_no_credentials_are_anonymous(access: UserAccess, header: str | None) -> None:
    assert await access.identify(header) == ANONYMOUS


async def test_passwords_are_not_kept(access: UserAccess) -> None:
    await access.identify(ANN)
    kept = repr(access._remembered)
    assert "secret" not in kept
    assert ANN.removeprefix("Basic ") not in kept


async def test_the_memory_of_logins_is_bounded(
    access: UserAccess, users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_module, "MAX_REMEMBERED", 1)
    await access.identify(ANN)
    await access.identify(basic("bob", "pass:word"))
    assert access.identify_cached(ANN) is None
    assert access.identify_cached(basic("bob", "pass:word")) == Subject("bob")


async def test_guessing_is_slowed_down_for_that_client_and_name(
    access: UserAccess, clock: Clock
) -> None:
    async def guess(name: str, client: str) -> None:
        await access.identify(basic(name, "wrong"), client=client)

    for _ in range(FAILURES):
        with pytest.raises(CredentialsRefused):
            await guess("ann", "10.0.0.1")
    with pytest.raises(TooManyLogins) as caught:
        await guess("ann", "10.0.0.1")
    assert caught.value.retry_after == 3
    for name, client in (("ann", "10.0.0.2"), ("bob", "10.0.0.1")):
        with pytest.raises(CredentialsRefused):
            await guess(name, client)
    clock.now += 3
    with pytest.raises(CredentialsRefused):
        await guess("ann", "10.0.0.1")


async def test_guessing_does_not_trouble_who_has_logged_in(access: UserAccess) -> None:
    await access.identify(ANN, client="10.0.0.1")
    for _ in range(FAILURES + 1):
        with pytest.raises((CredentialsRefused, TooManyLogins)):
            await access.identify(basic("ann", "wrong"), client="10.0.0.1")
    assert await access.identify(ANN, client="10.0.0.1") == Subject("ann")


async def test_a_client_has_all_addresses_of_its_network(access: UserAccess) -> None:
    """Of IPv6 each has 2**64, and could try twenty passwords with each."""
    for number in range(FAILURES):
        with pytest.raises(CredentialsRefused):
            await access.identify(basic("ann", "wrong"), client=f"2001:db8::{number:x}")
    with pytest.raises(TooManyLogins):
        await access.identify(basic("ann", "wrong"), client="2001:db8::ffff")


async def test_a_right_password_clears_the_failures(access: UserAccess) -> None:
    for round_ in range(3):
        for _ in range(FAILURES - 1):
            with pytest.raises(CredentialsRefused):
                await access.identify(basic("bob", "wrong"))
        access._remembered.clear()
        assert await access.identify(basic("bob", "pass:word")) == Subject("bob"), round_


async def test_a_flood_of_logins_is_asked_to_come_back(
    access: UserAccess, bcrypt_calls: CountedBcrypt
) -> None:
    bcrypt_calls.go.clear()
    logins = [
        asyncio.create_task(access.identify(basic(f"user{n}", "x")))
        for n in range(users_module.MAX_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooManyLogins):
        await access.identify(ANN)
    bcrypt_calls.go.set()
    answers = await asyncio.gather(*logins, return_exceptions=True)
    assert all(isinstance(answer, CredentialsRefused) for answer in answers)
    assert await access.identify(ANN) == Subject("ann")


# Files that change


async def test_a_removed_user_is_out_at_once(access: UserAccess, users: Path) -> None:
    await access.identify(ANN)
    rewrite(users, entry("bob", "pass:word"))
    await access.reload()
    assert access.identify_cached(ANN) is None
    with pytest.raises(CredentialsRefused):
        await access.identify(ANN)


async def test_a_login_that_was_under_way_when_the_file_changed_is_not_remembered(
    access: UserAccess, users: Path, bcrypt_calls: CountedBcrypt
) -> None:
    bcrypt_calls.go.clear()
    login = asyncio.create_task(access.identify(ANN))
    assert await asyncio.to_thread(bcrypt_calls.begun.wait, 10)
    rewrite(users, entry("bob", "pass:word"))
    await access.reload()
    bcrypt_calls.go.set()
    await login
    assert access.identify_cached(ANN) is None


async def test_a_replaced_file_is_followed(access: UserAccess, users: Path) -> None:
    new = users.with_suffix(".new")
    new.write_text(entry("eve", "x"))
    os.replace(new, users)
    await access.reload()
    assert await access.identify(basic("eve", "x")) == Subject("eve")


async def test_an_edit_within_the_same_instant_is_seen(access: UserAccess, users: Path) -> None:
    """Of equal length and with the same time of change, as far as that tells."""
    before = os.stat(users)
    _rename_user(users, "ann", "eve")
    os.utime(users, ns=(before.st_atime_ns, before.st_mtime_ns))
    await access.reload()
    assert await access.identify(basic("eve", "secret")) == Subject("eve")


def _rename_user(users: Path, old: str, new: str) -> None:
    users.write_text(users.read_text().replace(f"{old}:", f"{new}:"))


@pytest.mark.parametrize("content", [b"ann:plain", b"\xff\xfe", None])
async def test_a_broken_file_leaves_the_last_good_one_in_force(
    access: UserAccess, users: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    good = entry("ann", "secret")
    rewrite(users, content)
    for _ in range(3):
        await access.reload()
    assert await access.identify(ANN) == Subject("ann")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert str(users) in caplog.text
    rewrite(users, good + entry("eve", "x"))
    await access.reload()
    assert await access.identify(basic("eve", "x")) == Subject("eve")


async def test_the_files_are_followed_while_it_runs(
    access: UserAccess, users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_server.auth.followed.POLL_SECONDS", 0.01)
    await access.start()
    rewrite(users, entry("eve", "x"))
    async with asyncio.timeout(10):
        while True:
            try:
                assert await access.identify(basic("eve", "x")) == Subject("eve")
                break
            except CredentialsRefused:
                await asyncio.sleep(0.02)
            except TooManyLogins:
                pytest.fail("the file was never read again")


async def test_rules_are_followed_too(users: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("rules: [{repositories: [a], users: [ann], actions: [pull]}]")
    access = UserAccess(HtpasswdSettings(path=users, policy=rules), LOGINS)
    ann = Subject("ann")
    assert access.decide(ann, "a", Action.PULL).allowed
    assert not access.decide(ann, "b", Action.PULL).allowed
    rewrite(rules, "rules: [{repositories: [b], users: [ann], actions: [pull]}]")
    await access.reload()
    assert not access.decide(ann, "a", Action.PULL).allowed
    assert access.decide(ann, "b", Action.PULL).allowed
    rewrite(rules, "rules: [")
    await access.reload()
    assert access.decide(ann, "b", Action.PULL).allowed
    await access.close()


def test_the_memory_of_decisions_is_bounded(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_module, "MAX_DECISIONS", 10)
    access = UserAccess(HtpasswdSettings(path=users), LOGINS)
    for number in range(100):
        assert access.decide(Subject("ann"), f"r{number}", Action.PULL).allowed
    assert len(access._decisions) <= 10


# Which access control there is


def test_every_user_may_do_everything_without_a_file_of_rules(users: Path) -> None:
    access = make_access(AuthSettings(htpasswd=HtpasswdSettings(path=users, realm="Ours")), LOGINS)
    assert access.challenge(None, [], "") == 'Basic realm="Ours"'
    assert access.decide(Subject("ann"), "a", Action.DELETE).allowed
    assert not access.decide(ANONYMOUS, "a", Action.PULL).allowed


async def test_open_access_looks_at_no_credentials() -> None:
    access = make_access(AuthSettings(), LOGINS)
    assert isinstance(access, OpenAccess)
    assert access.challenge(None, [], "") is None
    assert access.identify_cached(basic("ann", "wrong")) == ANONYMOUS
    assert await access.identify("junk") == ANONYMOUS
    assert access.decide(ANONYMOUS, "a", Action.DELETE).allowed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "absent"}, "auth.htpasswd.path: absent: No such file"),
        ({"path": "plain"}, "auth.htpasswd.path: plain: line 1: the hash of 'ann' is not bcrypt"),
        ({"path": "good", "policy": "plain"}, "auth.htpasswd.policy: plain: a mapping"),
    ],
)
def test_a_broken_file_at_the_start_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain").write_text("ann:secret")
    Path("good").write_text(entry("ann", "secret"))
    with pytest.raises(ConfigurationInvalid) as caught:
        make_access(AuthSettings(htpasswd=HtpasswdSettings(**settings)), LOGINS)
    assert str(caught.value).startswith(message)
