"""An OpenID provider for the tests: oidc-provider-mock, in a process of its own.

Fixture: `openid_server` is a running one.  It asks for no passwords, and knows users from when
somebody has described them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.services.processes import free_port, spawn, wait_until_ready


@dataclass(frozen=True, slots=True)
class OpenIDServer:
    """A running provider."""

    issuer: str

    def describe(self, subject: str, **claims: Any) -> None:
        """Say what it knows of somebody from now on."""
        request = urllib.request.Request(
            f"{self.issuer}/users/{quote(subject, safe='')}",
            json.dumps(claims).encode(),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        urllib.request.urlopen(request, timeout=10).close()

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.issuer}/jwks", timeout=10).close()
        except urllib.error.URLError:
            return False
        return True


@contextmanager
def running_server() -> Iterator[OpenIDServer]:
    """A provider on loopback and a free port, gone when the context is left."""
    port = free_port()
    server = OpenIDServer(f"http://127.0.0.1:{port}")
    with tempfile.TemporaryDirectory(prefix="registry-openid-") as scratch:
        log = Path(scratch, "log")
        command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
        environment = {**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"}
        with spawn(command, log=log, environment=environment) as process:
            wait_until_ready(process, server.answers, log=log)
            yield server


@pytest.fixture(scope="session")
def openid_server() -> Iterator[OpenIDServer]:
    """One provider for each pytest process that asks for it."""
    with running_server() as server:
        yield server
