"""Accounts of a hub, made as an operator makes them: by commands, while it is being served."""

from __future__ import annotations

from pathlib import Path

from tests.services.registry import run

PASSWORD = "correct horse: battery staple"
"""Of every user."""


def create_user(config: Path, name: str, *options: str) -> None:
    """Make a user; `--admin` among the options makes an administrator of the hub."""
    _run(config, "user", "create", name, "--password-stdin", *options, told=PASSWORD)


def create_robot(config: Path, namespace: str, name: str, *allowed: str) -> str:
    """The secret of a new robot, which may do what `GLOB=ROLE` say."""
    return _secret(_run(config, "robot", "create", f"{namespace}+{name}", *_options(allowed)))


def create_access_token(config: Path, user: str, name: str, *allowed: str) -> str:
    """The secret of a new access token of a user."""
    return _secret(_run(config, "token", "create", user, name, *_options(allowed)))


def _options(allowed: tuple[str, ...]) -> list[str]:
    return [word for text in allowed for word in ("--allow", text)]


def _secret(printed: str) -> str:
    (secret,) = [word for word in printed.split() if word.startswith(("rgp_", "rgr_"))]
    return secret


def _run(config: Path, *words: str, told: str = "") -> str:
    done = run(*words, str(config), told=told)
    assert done.returncode == 0, done.stderr
    return done.stdout
