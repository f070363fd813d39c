"""The htpasswd file: names, and bcrypt hashes of their passwords.

Only bcrypt is accepted.  The other formats of that file (MD5, SHA-1, crypt) can be guessed by the
million a second, and a file that holds one is refused with a message that says how to make it good.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import bcrypt

_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}")
_DEFAULT_COST = 12
_BCRYPT_LIMIT = 72
"""bcrypt looks at no more bytes of a password, and `htpasswd` silently cuts there."""


@dataclass(frozen=True, slots=True)
class Passwords:
    """The users of a file.  `verify` takes as long for a name that is not there."""

    hashes: Mapping[str, bytes]
    dummy: bytes
    """A hash that no password has, at the highest cost of the file."""

    def verify(self, name: str, password: str) -> bool:
        """Whether that is the user's password.  As slow as bcrypt: tens of ms and more."""
        known = self.hashes.get(name)
        matches = bcrypt.checkpw(password.encode()[:_BCRYPT_LIMIT], known or self.dummy)
        return matches and known is not None


def parse_passwords(text: str) -> Passwords:
    """The content of an htpasswd file.  Raises `ValueError` with the number of the line."""
    hashes: dict[str, bytes] = {}
    costs: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name, cost, value = _parse_entry(entry, number)
        if name in hashes:
            raise ValueError(f"line {number}: {name!r} is there twice; remove one")
        hashes[name] = value
        costs.append(cost)
    dummy = bcrypt.gensalt(max(costs, default=_DEFAULT_COST)) + b"." * 31
    return Passwords(hashes, dummy)


def _parse_entry(entry: str, number: int) -> tuple[str, int, bytes]:
    name, colon, value = entry.partition(":")
    if not colon or not name:
        raise ValueError(f"line {number}: not of the form name:hash")
    match = _BCRYPT.fullmatch(value)
    if match is None:
        raise ValueError(
            f"line {number}: the hash of {name!r} is not bcrypt; set it again with: htpasswd -B"
        )
    return name, int(match["cost"]), value.encode("ascii")
