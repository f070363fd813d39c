"""A local Kodo server for the tests, and fresh buckets in it.

Qiniu offers no server to install, so this is one of our own, `kodo_server`: it speaks the
documented protocol, and is no proof of how the real service behaves beyond that.

Fixtures: `kodo` is the server, one for each pytest process; `kodo_bucket` is a private bucket of it
for one test.
"""

from __future__ import annotations

import io
import json
import secrets
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from qiniu import Auth
from qiniu.http.endpoint import Endpoint
from qiniu.http.region import Region, ServiceName
from qiniu.services.storage.uploaders import FormUploader

from tests.services.processes import free_port, spawn, wait_until_ready

UPLOAD_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class KodoServer:
    """A running server; everything in it is scratch."""

    port: int
    access_key: str
    secret_key: str

    @property
    def host(self) -> str:
        """Region z0; asked as `uc`, also which region a bucket is in."""
        return f"127.0.0.1:{self.port}"

    def settings(self, bucket: str) -> dict[str, Any]:
        """The settings of a driver that finds everything by asking."""
        return {
            "accesskey": self.access_key,
            "secretkey": self.secret_key,
            "bucket": bucket,
            "secure": False,
            "endpoints": {"uc": self.host},
        }

    def make_bucket(self, *, region: str = "z0", is_private: bool = True) -> str:
        """Create a bucket and return its name."""
        name = f"registry-{secrets.token_hex(6)}"
        self._control("POST", "buckets", {"name": name, "region": region, "is_private": is_private})
        return name

    def drop_bucket(self, name: str) -> None:
        """Remove a bucket and all that is in it."""
        self._control("DELETE", f"buckets/{name}")

    def domain(self, bucket: str) -> str:
        """The host that a bucket is downloaded from."""
        found: str = self._control("GET", f"buckets/{bucket}")["domain"]
        return found

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object, whoever may have written it."""
        auth = Auth(self.access_key, self.secret_key)
        region = Region(services={ServiceName.UP: [Endpoint(self.host, "http")]})
        uploader = FormUploader(bucket, regions=[region], preferred_scheme="http")
        token = auth.upload_token(bucket, key)
        _, info = uploader.upload(key=key, data=io.BytesIO(data), up_token=token)
        assert info.ok(), info

    def objects(self, bucket: str) -> dict[str, int]:
        """The size of every object by its key."""
        found: dict[str, int] = self._control("GET", f"buckets/{bucket}")["objects"]
        return found

    def uploads(self, bucket: str) -> dict[str, Mapping[str, Any]]:
        """Unfinished uploads by id: their `key`, and the sizes of their `parts`."""
        found: dict[str, Mapping[str, Any]] = self._control("GET", f"buckets/{bucket}")["uploads"]
        return found

    def age_uploads(self, bucket: str, seconds: float) -> None:
        """Let the bucket's unfinished uploads have begun so much earlier."""
        self._control("POST", f"buckets/{bucket}/age", seconds)

    def hosts(self) -> dict[str, str]:
        """The host of every region."""
        hosts: dict[str, str] = self._control("GET", "about")["hosts"]
        return hosts

    @contextmanager
    def failing(self, *faults: Mapping[str, Any]) -> Iterator[None]:
        """Let requests fail; what a fault says is in `kodo_server.faults`."""
        self._control("PUT", "faults", faults)
        try:
            yield
        finally:
            self._control("PUT", "faults", ())

    def requests(self) -> list[str]:
        """`METHOD /path` of each request since `failing` was entered."""
        lines: list[str] = self._control("GET", "requests")
        return lines

    @contextmanager
    def clock_ahead(self, seconds: float) -> Iterator[None]:
        """Let its clock be ahead of ours."""
        self._control("PUT", "clock", seconds)
        try:
            yield
        finally:
            self._control("PUT", "clock", 0)

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            self._control("GET", "about")
        except OSError:
            return False
        return True

    def _control(
        self, method: str, path: str, content: Mapping[str, Any] | Sequence[Any] | float = ()
    ) -> Any:
        request = urllib.request.Request(
            f"http://{self.host}/__control/{path}",
            method=method,
            data=json.dumps(content).encode() if method != "GET" else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def running_server() -> Iterator[KodoServer]:
    """A server on loopback and a free port, gone with all its data when the context is left."""
    server = KodoServer(free_port(), secrets.token_urlsafe(30), secrets.token_urlsafe(30))
    with tempfile.TemporaryDirectory(prefix="registry-kodo-") as scratch:
        log = Path(scratch, "log")
        program = [sys.executable, "-m", "tests.services.kodo_server"]
        arguments = [scratch, str(server.port), server.access_key, server.secret_key]
        with spawn([*program, *arguments], log=log, cwd=Path(__file__).parents[2]) as process:
            wait_until_ready(process, server.answers, log=log)
            yield server


@pytest.fixture(scope="session")
def kodo() -> Iterator[KodoServer]:
    """One server for each pytest process that asks for it."""
    with running_server() as server:
        yield server


@pytest.fixture
def kodo_bucket(kodo: KodoServer) -> Iterator[str]:
    """The name of a fresh private bucket in region z0."""
    name = kodo.make_bucket()
    yield name
    kodo.drop_bucket(name)
