"""Limits of a server with several workers: they hold for all of them together."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.auth.conftest import entry
from tests.services.registry import RegistryServer

LOGINS = 20


@pytest.mark.slow
def test_workers_count_failed_logins_together(tmp_path: Path) -> None:
    """Each connection may reach another worker, so without a common count some would get in."""
    users = tmp_path / "htpasswd"
    users.write_text(entry("ann", "secret"))
    settings = {"REGISTRY_AUTH": "htpasswd", "REGISTRY_AUTH_HTPASSWD_PATH": str(users)}
    server = RegistryServer(tmp_path, settings, workers=3).start()
    try:
        statuses = [_status(server.url, f"wrong {number}") for number in range(2 * LOGINS)]
    finally:
        server.stop()
    assert statuses[:LOGINS] == [401] * LOGINS
    assert 429 in statuses[LOGINS:]


def _status(url: str, password: str) -> int:
    basic = b64encode(f"ann:{password}".encode()).decode()
    try:
        urlopen(Request(f"{url}/v2/", headers={"Authorization": f"Basic {basic}"}), timeout=10)
    except HTTPError as error:
        return error.code
    except ConnectionError:  # while further workers begin to listen, too
        return _status(url, password)
    raise AssertionError("a wrong password was let in")
