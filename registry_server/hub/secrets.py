"""Secrets that the hub hands out: 256 random bits behind a prefix that says what they are.

Only their hash is kept.  It is looked up as a whole, so that nothing can be learned from how long
that takes, and needs no salt: there is nothing to guess.
"""

from __future__ import annotations

import re
import secrets
from enum import StrEnum
from hashlib import sha256
from typing import Final

ID_BYTES: Final = 12


class Prefix(StrEnum):
    """What a secret is, so that people and scanners of leaks can tell."""

    ACCESS_TOKEN = "rgp_"
    ROBOT = "rgr_"
    REFRESH_TOKEN = "rgf_"
    SESSION = "rgs_"
    LINK = "rgl_"


_SECRET: Final = re.compile(r"rg[prfsl]_[A-Za-z0-9_-]{43}")


def new_secret(prefix: Prefix) -> str:
    """A new one."""
    return prefix + secrets.token_urlsafe(32)


def is_secret(text: str, prefix: Prefix) -> bool:
    """Whether `text` has the form of one of that kind."""
    return text.startswith(prefix) and _SECRET.fullmatch(text) is not None


def hashed(secret: str) -> bytes:
    """What is kept of it."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def new_id() -> str:
    """What a secret is called where it is listed and revoked: no secret itself."""
    return secrets.token_hex(ID_BYTES)
