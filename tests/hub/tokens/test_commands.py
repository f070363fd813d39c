"""`registry-server key …`: what an operator does with the keys of tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from registry_server.hub.tokens.keys import new_key
from tests.services.registry import run

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def key(tmp_path: Path) -> Command:
    """Run a command about the keys of a hub that is not served."""

    def command(*words: str) -> CompletedProcess[str]:
        settings = {"REGISTRY_AUTH": "hub", "REGISTRY_DATA_DIRECTORY": str(tmp_path)}
        return run("key", *words, COLUMNS="200", **settings)

    return command


def states(done: CompletedProcess[str]) -> list[tuple[str, str]]:
    """Of the keys that are listed: their names and states."""
    assert done.returncode == 0, done.stderr
    return re.findall(r"([\w-]{43}) +│ ES256 +│ (\w+)", done.stdout)


def test_keys_are_listed_followed_and_taken_away(key: Command) -> None:
    ((first, state),) = states(key("list"))
    assert state == "signs"
    assert key("rotate").returncode == 0
    (_, second) = states(key("list"))
    assert second[1] == "next"
    assert key("revoke", first).returncode == 0
    assert states(key("list")) == [(second[0], "signs")]
    assert key("revoke", second[0]).returncode == 0
    ((third, state),) = states(key("list"))
    assert third not in (first, second[0])
    assert state == "signs"


def test_what_cannot_be_done_is_a_line(key: Command, tmp_path: Path) -> None:
    done = key("revoke", "nothing")
    assert (done.returncode, done.stderr) == (1, "registry-server: there is no key nothing\n")
    done = run("key", "list", REGISTRY_DATA_DIRECTORY=str(tmp_path))
    assert done.returncode == 1
    assert "there is no hub; set it" in done.stderr


def test_no_name_of_a_key_looks_like_an_option() -> None:
    assert not any(new_key("EdDSA").kid.startswith("-") for _ in range(200))
