"""OpenStack Swift for the tests: proxy, account, container and object server, on a plain folder.

Fixture: `swift_server` is the server, with one account, into which its own v1 authentication lets.
It keeps one copy of everything and runs no background daemons.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.processes import free_port, spawn, unavailable, wait_until_ready

PROGRAMS = Path(__file__).parents[2] / ".services" / "swift" / "bin"
SERVERS = ("account", "container", "object")

STORAGE_SETTINGS = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
recon_cache_path = {folder}
fallocate_reserve = 0
disable_fallocate = true
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

PIPELINE = (
    "catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl tempauth copy slo dlo"
)

PROXY_SETTINGS = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
[pipeline:main]
pipeline = {pipeline} proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:tempauth]
use = egg:swift#tempauth
user_registry_{login} = {key} .admin
user_registry_{reader} = {key}
"""

RING = """\
import sys
from swift.common.ring import RingBuilder
kind, port, target = sys.argv[1:]
builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
device = dict(region=1, zone=1, weight=1.0, device="d1", meta="", ip="127.0.0.1", port=int(port))
builder.add_dev(device | dict(replication_ip="127.0.0.1", replication_port=int(port)))
builder.rebalance()
builder.get_ring().save(target)
"""


@dataclass(frozen=True, slots=True)
class SwiftServer:
    """A running server; everything in it is scratch."""

    address: str
    memcached: int
    """The port of the memcached in which its tokens lie."""
    key: str
    user: str = "registry:tester"
    """Owns the account."""
    reader: str = "registry:reader"
    """May log in, and then may do nothing."""

    @property
    def auth_url(self) -> str:
        """Where v1 logs in."""
        return f"{self.address}/auth/v1.0"

    def revoke_tokens(self) -> None:
        """Forget every token that was given out."""
        with socket.create_connection(("127.0.0.1", self.memcached), 10) as connection:
            connection.sendall(b"flush_all\r\n")
            assert connection.recv(100) == b"OK\r\n"

    def log_in(self) -> Mapping[str, str]:
        """The headers of v1's answer; logging in makes the account."""
        request = urllib.request.Request(
            self.auth_url, headers={"X-Auth-User": self.user, "X-Auth-Key": self.key}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(answer.headers)

    def answers(self) -> bool:
        """Whether an account can be read, which takes all servers but one."""
        try:
            login = self.log_in()
            request = urllib.request.Request(
                login["X-Storage-Url"], headers={"X-Auth-Token": login["X-Auth-Token"]}
            )
            with urllib.request.urlopen(request, timeout=10):
                return True
        except OSError:
            return False


@contextmanager
def running_server() -> Iterator[SwiftServer]:
    """A server on loopback and free ports, gone with all its data when the context is left."""
    for program in ("memcached", PROGRAMS / "swift-proxy-server"):
        if not shutil.which(program):
            unavailable("OpenStack Swift")
    with (
        tempfile.TemporaryDirectory(prefix="registry-swift-") as scratch,
        ExitStack() as daemons,
    ):
        folder = Path(scratch)
        (folder / "devices" / "d1").mkdir(parents=True)
        _require_attributes(folder)
        (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = registry\n")
        memcached = _memcached(folder, daemons)
        for kind in SERVERS:
            _storage_server(folder, kind, daemons)
        yield _proxy(folder, memcached, daemons)


def _require_attributes(folder: Path) -> None:
    """Swift keeps what it knows of an object in the extended attributes of its file."""
    try:
        os.setxattr(folder, b"user.probe", b"1")
    except OSError as error:
        raise RuntimeError(f"{folder}: its file system has no extended attributes") from error


def _memcached(folder: Path, daemons: ExitStack) -> int:
    port = free_port()
    # Run as root it wants to be told that this is meant.
    command = ["memcached", "-u", _user(), "-l", "127.0.0.1", "-p", str(port), "-U", "0"]
    log = folder / "memcached.log"
    process = daemons.enter_context(spawn(command, log=log))
    wait_until_ready(process, lambda: _accepts(port), log=log)
    return port


def _storage_server(folder: Path, kind: str, daemons: ExitStack) -> None:
    port = free_port()
    ring = folder / f"{kind}.ring.gz"
    subprocess.run([PROGRAMS / "python", "-c", RING, kind, str(port), ring], check=True)
    text = STORAGE_SETTINGS.format(port=port, user=_user(), folder=folder, kind=kind)
    process, log = _start(folder, kind, text, daemons)
    wait_until_ready(process, lambda: _accepts(port), log=log)


def _proxy(folder: Path, memcached: int, daemons: ExitStack) -> SwiftServer:
    port = free_port()
    server = SwiftServer(f"http://127.0.0.1:{port}", memcached, secrets.token_hex(16))
    text = PROXY_SETTINGS.format(
        port=port,
        user=_user(),
        folder=folder,
        pipeline=PIPELINE,
        memcached=memcached,
        login=server.user.partition(":")[2],
        reader=server.reader.partition(":")[2],
        key=server.key,
    )
    plain = set(PIPELINE.split()) - {"cache", "tempauth"}
    text += "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in plain)
    process, log = _start(folder, "proxy", text, daemons)
    wait_until_ready(process, server.answers, log=log)
    return server


def _start(
    folder: Path, kind: str, settings: str, daemons: ExitStack
) -> tuple[subprocess.Popen[bytes], Path]:
    path, log = folder / f"{kind}.conf", folder / f"{kind}.log"
    path.write_text(settings)
    command = ["env", f"SWIFT_DIR={folder}", PROGRAMS / f"swift-{kind}-server", path]
    return daemons.enter_context(spawn(command, log=log)), log


def _user() -> str:
    return Path(f"/proc/{os.getpid()}").owner()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def swift_server() -> Iterator[SwiftServer]:
    """One server for each pytest process that asks for it."""
    with running_server() as server:
        yield server
