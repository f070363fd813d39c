"""A server with users and rules, and the files that say so, to be changed while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from tests.services.registry import RegistryServer

from .client import Client
from .promises import OURS

REALM = "The conformance suite"
POLICY = """\
groups:
  developers: [ann, bob]
rules:
  - repositories: ["team/**"]
    groups: [developers]
    actions: [pull, push]
  - repositories: ["team/**"]
    users: [carl]
    actions: [pull, create-only]
  - repositories: ["team/**"]
    users: [dora]
    actions: [pull, push, delete]
  - repositories: ["public/**"]
    anonymous: true
    actions: [pull]
  - repositories: ["public/**"]
    groups: [developers]
    actions: [push]
  - repositories: ["frank/*"]
    users: [frank]
    actions: [pull, push]
  - repositories: ["dropbox"]
    users: [frank]
    actions: [push]
  - repositories: ["members/*"]
    users: ["*"]
    actions: [pull]
"""
USERS = ("ann", "bob", "carl", "dora", "eve", "frank")


def password_of(user: str) -> str:
    return f"the password of {user}: with a colon, and ü"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that asks who is there."""

    server: RegistryServer
    htpasswd: Path
    policy: Path

    def client(self, user: str | None) -> Client:
        """A client logged in as `user`; as nobody for None."""
        login = (user, password_of(user)) if user else None
        return Client(self.server.url, login=login, promises=OURS)


def write_htpasswd(path: Path, users: Iterable[str], password: Callable[[str], str]) -> None:
    lines = [f"{user}:{_hashed(password(user))}" for user in users]
    path.write_text("\n".join(lines) + "\n")


def _hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()


def settings(directory: Path) -> tuple[dict[str, str], Path, Path]:
    """Write both files into `directory`; the environment that names them, and their paths."""
    htpasswd, policy = directory / "htpasswd", directory / "policy.yml"
    write_htpasswd(htpasswd, USERS, password_of)
    policy.write_text(POLICY)
    environment = {
        "REGISTRY_AUTH_HTPASSWD_REALM": REALM,
        "REGISTRY_AUTH_HTPASSWD_PATH": str(htpasswd),
        "REGISTRY_AUTH_HTPASSWD_POLICY": str(policy),
    }
    return environment, htpasswd, policy


def eventually(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for what a file's change brings about; there is no event to wait for from outside."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the change of the file had no effect"
        time.sleep(0.05)
