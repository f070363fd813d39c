"""The files of users and rules, changed while the server runs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.services.registry import RegistryServer

from . import access
from .access import Guarded, eventually, password_of, write_htpasswd
from .client import Client
from .conftest import Serve
from .content import image

pytestmark = pytest.mark.slow

EVE_MAY_PULL = """\
rules:
  - repositories: ["team/**"]
    users: [eve]
    actions: [pull]
"""


@pytest.fixture
def guarded(serve: Serve, tmp_path: Path) -> Guarded:
    environment, htpasswd, policy = access.settings(tmp_path)
    guarded = Guarded(serve(environment, directory=tmp_path), htpasswd, policy)
    with closing(guarded.client("ann")) as ann:
        image("application").push(ann, "team/app", "v1")
    return guarded


def _status(guarded: Guarded, login: tuple[str, str] | None, target: str) -> int:
    with closing(Client(guarded.server.url, login=login)) as client:
        return client.get(target).status


def _as(user: str) -> tuple[str, str]:
    return user, password_of(user)


TAGS = "/v2/team/app/tags/list"


def test_new_rules_hold_without_a_restart(guarded: Guarded) -> None:
    assert _status(guarded, _as("eve"), TAGS) == 404
    assert _status(guarded, _as("ann"), TAGS) == 200
    guarded.policy.write_text(EVE_MAY_PULL)
    eventually(lambda: _status(guarded, _as("eve"), TAGS) == 200)
    assert _status(guarded, _as("ann"), TAGS) == 404


def test_rules_replaced_by_renaming_hold_too(guarded: Guarded) -> None:
    """As editors write, and as secrets are mounted."""
    new = guarded.policy.with_suffix(".new")
    new.write_text(EVE_MAY_PULL)
    new.rename(guarded.policy)
    eventually(lambda: _status(guarded, _as("eve"), TAGS) == 200)


@pytest.mark.parametrize("text", ["rules: [", "rules:\n  - repositories: x\n", "nonsense: 1\n"])
def test_broken_rules_change_nothing_and_are_complained_of(guarded: Guarded, text: str) -> None:
    before = guarded.server.log_lines()
    guarded.policy.write_text(text)
    eventually(
        lambda: (
            _status(guarded, _as("ann"), TAGS) == 200
            and "policy.yml" in _new_lines(guarded.server, before)
        )
    )
    assert _status(guarded, _as("eve"), TAGS) == 404
    guarded.policy.write_text(EVE_MAY_PULL)
    eventually(lambda: _status(guarded, _as("eve"), TAGS) == 200)


def _new_lines(server: RegistryServer, before: int) -> str:
    return "\n".join(server.log.read_text().splitlines()[before:])


def test_users_come_and_go_without_a_restart(guarded: Guarded) -> None:
    assert _status(guarded, _as("gina"), "/v2/") == 401
    assert _status(guarded, _as("bob"), "/v2/") == 200
    write_htpasswd(guarded.htpasswd, ["ann", "gina"], password_of)
    eventually(lambda: _status(guarded, _as("gina"), "/v2/") == 200)
    eventually(lambda: _status(guarded, _as("bob"), "/v2/") == 401)


def test_an_old_password_does_not_outlive_its_change(guarded: Guarded) -> None:
    """Verified logins are remembered, but not beyond the file that they were verified by."""
    assert _status(guarded, _as("ann"), "/v2/") == 200
    write_htpasswd(guarded.htpasswd, ["ann"], lambda user: "new")
    eventually(lambda: _status(guarded, ("ann", "new"), "/v2/") == 200)
    assert _status(guarded, _as("ann"), "/v2/") == 401


def test_a_broken_policy_is_no_start(serve: Serve, tmp_path: Path) -> None:
    environment, _, policy = access.settings(tmp_path)
    policy.write_text("rules: [")
    with pytest.raises(RuntimeError, match=r"policy\.yml"):
        serve(environment, directory=tmp_path)
