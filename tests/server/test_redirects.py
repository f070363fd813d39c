"""Who is sent to the store for a blob."""

from __future__ import annotations

from typing import Any

import pytest

from registry_server.api.redirects import is_sent_away
from registry_server.settings.model import RedirectSettings

DOCKER_1 = "docker/1.13.1 go/go1.7.5 UpstreamClient(Docker-Client/1.13.1)"
DOCKER_29 = "docker/29.1.0 go/go1.25.3 UpstreamClient(Docker-Client/29.1.0)"


def rules(**settings: Any) -> RedirectSettings:
    return RedirectSettings.model_validate(settings)


def test_everybody_unless_something_else_is_said() -> None:
    assert is_sent_away(rules(), DOCKER_1, "192.0.2.1")
    assert is_sent_away(rules(), "", "")


def test_nobody_where_redirects_are_off() -> None:
    assert not is_sent_away(rules(disable=True), DOCKER_29, "192.0.2.1")


def test_clients_by_their_user_agent() -> None:
    old = rules(useragents=["^docker/1\\.", "curl"])
    assert not is_sent_away(old, DOCKER_1, "192.0.2.1")
    assert not is_sent_away(old, "a curl", "192.0.2.1")
    assert is_sent_away(old, DOCKER_29, "192.0.2.1")


@pytest.mark.parametrize(
    ("remote", "sent"),
    [
        ("10.1.2.3", False),
        ("11.1.2.3", True),
        ("::ffff:10.1.2.3", False),
        ("fd00::1", False),
        ("fe80::1%eth0", True),
        ("2001:db8::1", True),
        ("", True),
    ],
)
def test_clients_by_their_network(remote: str, sent: bool) -> None:
    inside = rules(networks=["10.0.0.0/8", "fd00::/8"])
    assert is_sent_away(inside, DOCKER_29, remote) is sent


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="networks"):
        rules(networks=["10.0.0.1/8x"])
