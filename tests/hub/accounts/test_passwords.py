"""Passwords: what they must be, how they are kept, and that checking one holds nobody up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

import bcrypt
import pytest
from argon2 import PasswordHasher

from registry_server.auth.access import TooManyLogins
from registry_server.hub.accounts import passwords as module
from registry_server.hub.accounts.passwords import Passwords
from registry_server.hub.errors import Invalid
from registry_server.settings.hub import PasswordSettings
from registry_storage.errors import ConfigurationInvalid
from tests.hub.accounts.people import OTHER, PASSWORD


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    found = Passwords(PasswordSettings())
    yield found
    found.close()


async def test_the_hash_is_argon2id_of_64_mib(passwords: Passwords) -> None:
    hashed = await passwords.hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert await passwords.verify(hashed, PASSWORD)
    assert not await passwords.verify(hashed, OTHER)
    assert not passwords.is_outdated(hashed)


async def test_nobodys_password_takes_as_long_as_a_wrong_one(passwords: Passwords) -> None:
    hashed = await passwords.hash(PASSWORD)
    spent: dict[str | None, list[float]] = {hashed: [], None: []}
    for _ in range(9):
        for kept, times in spent.items():
            began = time.process_time()
            assert not await passwords.verify(kept, OTHER)
            times.append(time.process_time() - began)
    known, unknown = (median(times) for times in spent.values())
    assert abs(known - unknown) < known / 2


async def test_the_loop_goes_on_meanwhile(passwords: Passwords) -> None:
    hashing = asyncio.create_task(passwords.hash(PASSWORD))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


async def test_few_may_wait(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    waiting = [asyncio.create_task(passwords.verify(None, PASSWORD)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyLogins):
        await passwords.verify(None, PASSWORD)
    assert await asyncio.gather(*waiting) == [False, False]
    assert not await passwords.verify(None, PASSWORD)


async def test_bcrypt_is_taken_and_outdated(passwords: Passwords) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    assert await passwords.verify(hashed, PASSWORD)
    assert not await passwords.verify(hashed, OTHER)
    assert passwords.is_outdated(hashed)


async def test_other_parameters_are_taken_and_outdated(passwords: Passwords) -> None:
    hashed = PasswordHasher(1, 64, 1).hash(PASSWORD)
    assert await passwords.verify(hashed, PASSWORD)
    assert passwords.is_outdated(hashed)


@pytest.mark.parametrize("hashed", ["", "x", "$argon2id$v=19$m=1", "plain text"])
async def test_what_is_no_hash_matches_nothing(passwords: Passwords, hashed: str) -> None:
    assert not await passwords.verify(hashed, hashed)
    assert not await passwords.verify(hashed, "")


async def test_accents_may_be_composed_in_either_way(passwords: Passwords) -> None:
    hashed = await passwords.hash("mot de passe caf\u00e9")
    assert await passwords.verify(hashed, "mot de passe cafe\u0301")


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("short", "at least 12"),
        ("x" * 1025, "at most 1024"),
        ("with a\nline feed", "control characters"),
        ("with half a \ud800", "control characters"),
        ("aaaaaaaabbbbbbbb", "easy to guess"),
        ("Ann.Somebody-Else", "easy to guess"),
    ],
)
def test_what_is_no_password(passwords: Passwords, password: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        passwords.check(password, "ann.somebody-else")


@pytest.mark.parametrize(
    "password", [PASSWORD, "x y z 1 2 3 4", "пароль из слов", "x" * 9 + "abcd"]
)
def test_what_is_one(passwords: Passwords, password: str) -> None:
    passwords.check(password, "ann")


def _refusing(listed: Path) -> Passwords:
    return Passwords(PasswordSettings(refused=listed))


def test_a_listed_password_is_refused(tmp_path: Path) -> None:
    listed = tmp_path / "leaked.txt"
    listed.write_text("123456\nCorrect Horse\r\npasswort-eins2\n")
    with closing(_refusing(listed)) as passwords:
        for password in ("correct horse", "CORRECT HORSE", "passwort-eins2"):
            with pytest.raises(Invalid, match="easy to guess"):
                passwords.check(password, "ann")
        passwords.check("correct horses", "ann")


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    told = r"auth\.hub\.passwords\.refused: .*leaked\.txt: No such file"
    with pytest.raises(ConfigurationInvalid, match=told):
        _refusing(tmp_path / "leaked.txt")
