"""Passwords: argon2id (RFC 9106), slow on purpose, and therefore never on the event loop.

Hashes of bcrypt are taken, too, as an htpasswd file has them; they are replaced at the next login,
and so are those of parameters that are no longer ours.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from registry_server.auth.access import TooManyLogins
from registry_server.auth.followed import FollowedFile
from registry_server.hub.errors import Invalid
from registry_server.settings.hub import PasswordSettings

T = TypeVar("T")
Given = TypeVarTuple("Given")

MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 3
LANES: Final = 1
MAX_LENGTH: Final = 1024
LEAST_DIFFERENT: Final = 5
"""Characters of a password that differ from one another: `aaaaaaaaaaaa` is long, too."""
MAX_WAITING: Final = 64
"""Passwords that wait for their turn, in this process; more are asked to come back."""

_BCRYPT: Final = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_BCRYPT_LIMIT: Final = 72
"""bcrypt looks at no more bytes of a password."""


def is_bcrypt(hashed: str) -> bool:
    """Whether that is a hash of bcrypt."""
    return _BCRYPT.fullmatch(hashed) is not None


class Passwords:
    """What a password must be, and whether one is right."""

    def __init__(self, settings: PasswordSettings) -> None:
        """Raises `ConfigurationInvalid`, where the list of passwords to refuse cannot be read."""
        self._min_length = settings.minlength
        self._refused = refused_passwords(settings)
        self._hasher = PasswordHasher(PASSES, MEMORY_KIB, LANES)
        self._nobodys = _unguessable()
        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="argon2")
        self._waiting = 0

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def check(self, password: str, name: str) -> None:
        """Raises `Invalid` where that is no password for the user of that name."""
        if len(password) < self._min_length:
            raise Invalid(f"a password has at least {self._min_length} characters")
        if len(password) > MAX_LENGTH:
            raise Invalid(f"a password has at most {MAX_LENGTH} characters")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
            raise Invalid("a password has no control characters: clients could not send it")
        if self._is_guessed_first(password, name.lower()):
            raise Invalid("this password is too easy to guess; choose another")

    async def hash(self, password: str) -> str:
        """What is kept of it.  Raises `TooManyLogins`."""
        return await self._in_turn(self._hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether that is the password; None, of nobody, takes as long.  Raises `TooManyLogins`."""
        return await self._in_turn(self._verify, hashed, password)

    def is_outdated(self, hashed: str) -> bool:
        """Whether the same password would be kept in another way now."""
        return is_bcrypt(hashed) or self._hasher.check_needs_rehash(hashed)

    def _is_guessed_first(self, password: str, name: str) -> bool:
        lower = password.lower()
        return len(set(password)) < LEAST_DIFFERENT or lower == name or lower in self._refused

    async def _in_turn(self, work: Callable[[*Given], T], *arguments: *Given) -> T:
        if self._waiting >= MAX_WAITING:
            raise TooManyLogins(1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        finally:
            self._waiting -= 1

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_composed(password))

    def _verify(self, hashed: str | None, password: str) -> bool:
        if hashed is not None and is_bcrypt(hashed):
            return bcrypt.checkpw(password.encode()[:_BCRYPT_LIMIT], hashed.encode())
        try:
            return self._hasher.verify(hashed or self._nobodys, _composed(password))
        except (VerificationError, InvalidHashError):
            return False


def refused_passwords(settings: PasswordSettings) -> Set[str]:
    """What nobody may choose, in lower case: of the list, what would be long enough.

    Raises `ConfigurationInvalid`.
    """

    def parse(text: str) -> Set[str]:
        lines = map(str.lower, text.splitlines())
        return frozenset(line for line in lines if len(line) >= settings.minlength)

    if settings.refused is None:
        return frozenset()
    return FollowedFile("auth.hub.passwords.refused", settings.refused, parse).value


def _composed(password: str) -> bytes:
    """The same bytes, whichever way a keyboard composes letters and their accents."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _unguessable() -> str:
    """A hash that no password has, which takes as long to find out as any other."""
    salt, tag = (b64encode(secrets.token_bytes(n)).rstrip(b"=").decode() for n in (16, 32))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${tag}"
