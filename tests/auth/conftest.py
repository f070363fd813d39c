"""An htpasswd file with two users, and access control over it with a clock that stands still."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import pytest

from registry_server.auth import UserAccess
from registry_server.limits import LoginLimit
from registry_server.limits.table import Table
from registry_server.settings.model import HtpasswdSettings

FAILURES = 20
"""How often a password may be wrong in a minute."""


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def entry(name: str, password: str, *, cost: int = 4) -> str:
    return f"{name}:{bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()}\n"


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def rewrite(path: Path, content: str | bytes | None) -> None:
    """Give a file another content, in place; None: remove it."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_text(entry("ann", "secret") + entry("bob", "pass:word"))
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def access(users: Path, clock: Clock) -> AsyncIterator[UserAccess]:
    logins = LoginLimit(Table.of_process(), FAILURES, clock)
    access = UserAccess(HtpasswdSettings(path=users), logins, clock)
    yield access
    await access.close()
