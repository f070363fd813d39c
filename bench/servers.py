"""Starting the servers: ours with access control on, and Debian's `docker-registry` beside it."""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import bcrypt
import yaml

from bench import processes
from bench.client import Connection

USER, PASSWORD = "bench", "a password of ordinary length"

_POLICY = {
    "groups": {"developers": ["ann", USER], "operators": ["cleo"]},
    "rules": [
        {"repositories": ["public/**"], "anonymous": True, "actions": ["pull"]},
        {"repositories": ["**"], "groups": ["operators"], "actions": ["pull", "push", "delete"]},
        {"repositories": ["bench/**"], "groups": ["developers"], "actions": ["pull", "push"]},
    ],
}

_UNWANTED = {"AWS_CA_BUNDLE"}
"""Where it is set, docker-registry 2.8 ends at once on S3."""

_LOGINS = 16
"""Connections that together surely reach each of two workers."""

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


Storage = Mapping[str, object]
Access = tuple[Mapping[str, object], str | None]
"""The section `auth` of a configuration, and the `Authorization` that it lets in."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    name: str
    port: int
    pid: int
    root: Path
    authorization: str | None

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> list[str]:
        """What every request must carry, each as `Name: value`."""
        return [f"Authorization: {self.authorization}"] if self.authorization else []

    def connect(self) -> Connection:
        """A new connection to it."""
        return Connection(self.port, self.authorization)

    def remember_login(self) -> None:
        """Have each of its workers check the password once, which is good for a minute."""
        for _ in range(_LOGINS):
            with self.connect() as connection:
                connection.request("GET", "/v2/", expect=200)

    def cpu_seconds(self) -> float:
        """What it has used so far, all its processes together."""
        return processes.cpu_seconds(self.pid)


@contextmanager
def ours(
    scratch: Path,
    *,
    workers: int,
    name: str | None = None,
    storage: Storage | None = None,
    access: Access | None = None,
) -> Iterator[Server]:
    """This project's server: SQLite, htpasswd and a policy file, logs on.

    `storage` is that section of its configuration; None: the filesystem.  `access` takes the place
    of htpasswd and policy.
    """
    name = name or f"ours-{workers}"
    folder = _folder(scratch, name)
    port = _free_port()
    config = folder / "config.yml"
    auth, authorization = access or _logins(folder)
    config.write_text(yaml.safe_dump(_our_config(folder, port, storage, auth)))
    command = [sys.executable, "-m", "registry_server", "serve", str(config)]
    command += ["--workers", str(workers)]
    with _running(command, folder / "log") as process:
        server = Server(name, port, process.pid, folder / "storage", authorization)
        _wait_until_ready(server, process, folder / "log")
        yield server


@contextmanager
def docker_registry(
    scratch: Path, *, name: str = "docker-registry", storage: Storage | None = None
) -> Iterator[Server]:
    """Debian's registry: its package's configuration, without any access control.

    `storage` is the driver's part of that section; None: the filesystem.
    """
    folder = _folder(scratch, name)
    port = _free_port()
    config = folder / "config.yml"
    config.write_text(yaml.safe_dump(_peer_config(folder, port, storage)))
    with _running(["docker-registry", "serve", str(config)], folder / "log") as process:
        server = Server(name, port, process.pid, folder / "storage", None)
        _wait_until_ready(server, process, folder / "log")
        yield server


def docker_registry_version() -> str:
    """As the program names itself."""
    done = subprocess.run(
        ["docker-registry", "--version"], capture_output=True, text=True, check=True
    )
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    return found[0] if found else done.stdout.strip()


def _logins(folder: Path) -> Access:
    (folder / "policy.yml").write_text(yaml.safe_dump(_POLICY))
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt()).decode()
    (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
    access = {"realm": "bench", "path": f"{folder}/htpasswd", "policy": f"{folder}/policy.yml"}
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return {"htpasswd": access}, f"Basic {login}"


def _our_config(
    folder: Path, port: int, storage: Storage | None, auth: Mapping[str, object]
) -> dict[str, object]:
    return {
        "storage": dict(storage or _files(folder)),
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": dict(auth),
        "data": {"directory": f"{folder}/data"},
    }


def _peer_config(folder: Path, port: int, storage: Storage | None) -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"fields": {"service": "registry"}},
        "storage": {
            "cache": {"blobdescriptor": "inmemory"},
            "delete": {"enabled": True},
            **(storage or _files(folder)),
        },
        "http": {
            "addr": f"127.0.0.1:{port}",
            "headers": {"X-Content-Type-Options": ["nosniff"]},
        },
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }


def _files(folder: Path) -> Storage:
    return {"filesystem": {"rootdirectory": f"{folder}/storage"}}


def _folder(scratch: Path, name: str) -> Path:
    folder = scratch / name
    (folder / "storage").mkdir(parents=True, exist_ok=True)
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if k not in _UNWANTED},
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for member in processes.family(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
            process.wait()


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    request = urllib.request.Request(f"{server.url}/v2/")
    if server.authorization:
        request.add_header("Authorization", server.authorization)
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except (urllib.error.URLError, ConnectionError) as error:
            if getattr(error, "code", None) == HTTPStatus.UNAUTHORIZED:
                return
            if process.poll() is not None or time.monotonic() > deadline:
                end = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{server.name} does not answer ({error}):\n{end}") from error
        time.sleep(0.05)
