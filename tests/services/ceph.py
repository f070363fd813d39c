"""A Ceph cluster for the tests: one monitor, one OSD in memory, and a RADOS gateway if asked for.

Fixtures: `ceph` is the cluster, with a pool and a user who may use that pool only; `rgw_s3` and
`rgw_swift` are accounts of its gateway, for S3 and for Swift (v1 authentication).  All live as long
as the pytest process that asked first: a test makes a namespace, a bucket or a container of its
own in them.  Buckets and containers share one space of names, of three characters at least.

The gateway is not AWS S3 and not OpenStack Swift: among other things it lets a completed multipart
upload and a Swift PUT overwrite in spite of `If-None-Match: *`, signs Swift's temporary URLs with
SHA-1 only, and answers no additional checksums.
"""

from __future__ import annotations

import base64
import importlib.util
import os
import secrets
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.buckets import S3Account
from tests.services.processes import free_port, spawn, unavailable, wait_until_ready

POOL = "registry"

CAPABILITIES = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    "client.rgw": {"mon": "allow rw", "osd": "allow rwx"},
    "client.registry": {"mon": "allow r", "osd": f"allow rw pool={POOL}"},
}
"""Who may do what; `client.registry` has the least that the `rados` driver needs."""

SETTINGS = """\
[global]
fsid = {fsid}
mon host = {monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = {folder}/keyring
admin socket =
run dir = {folder}
pid file = {folder}/$name.pid
log file = {folder}/$name.log
crash dir = {folder}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1

[mon]
mon data = {folder}/mon
mon cluster log file = {folder}/cluster.log

[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4G
osd memory target = 1G
osd class load list = *
osd class default list = *

[client.rgw]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{gateway_port} tcp_nodelay=1
rgw enable usage log = false
rgw run sync thread = false
rgw thread pool size = 64
"""
"""One copy of everything, on one OSD, in memory."""


@dataclass(frozen=True, slots=True)
class CephCluster:
    """A running cluster; everything in it is scratch."""

    folder: Path
    fsid: str
    monitor: str
    """The monitor's address, as `mon host` takes it."""
    gateway_port: int
    """Where a gateway is to listen."""
    pool: str = POOL
    user: str = "registry"
    """May read and write the pool, and nothing else; `admin` may do everything."""

    @property
    def conffile(self) -> Path:
        """Its `ceph.conf`, which also leads to the keys."""
        return self.folder / "ceph.conf"

    def run(self, program: str, *arguments: str, seconds: float = 60) -> str:
        """What one of Ceph's programs prints; raises `SubprocessError` if it fails."""
        return subprocess.run(
            [program, "--conf", self.conffile, *arguments],
            check=True,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
        ).stdout

    def answers(self, program: str, *arguments: str) -> bool:
        """Whether the program succeeds within ten seconds."""
        try:
            self.run(program, *arguments, seconds=10)
        except subprocess.SubprocessError:
            return False
        return True

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Within, the OSD answers nobody."""
        process_id = int((self.folder / "osd.0.pid").read_text())
        os.kill(process_id, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process_id, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class SwiftAccount:
    """An account of the gateway, for Swift's v1 authentication; it may make containers."""

    auth_url: str
    user: str
    key: str


@contextmanager
def running_cluster() -> Iterator[CephCluster]:
    """A cluster on loopback and free ports, gone with all its data when the context is left."""
    for program in ("ceph-mon", "ceph-osd", "ceph"):
        if not shutil.which(program):
            unavailable("Ceph")
    with tempfile.TemporaryDirectory(prefix="registry-ceph-") as scratch, ExitStack() as daemons:
        monitor = f"[v2:127.0.0.1:{free_port()}/0]"
        cluster = CephCluster(Path(scratch), str(uuid.uuid4()), monitor, free_port())
        _write_settings(cluster)
        daemons.enter_context(_monitor(cluster))
        daemons.enter_context(_osd(cluster))
        yield cluster


@contextmanager
def running_gateway(cluster: CephCluster) -> Iterator[str]:
    """The cluster's gateway, which has no account yet; gives its address."""
    if not shutil.which("radosgw"):
        unavailable("Ceph's RADOS gateway")
    address = f"http://127.0.0.1:{cluster.gateway_port}"
    with _daemon(cluster, "radosgw", "client.rgw", lambda: _serves(address)):
        yield address


def new_s3_account(cluster: CephCluster, gateway: str) -> S3Account:
    """The gateway's account for S3."""
    account = S3Account(gateway, secrets.token_hex(8), secrets.token_hex(16))
    keys = ("--access-key", account.access_key, "--secret-key", account.secret_key)
    _administer(cluster, "user", "create", "--uid", "s3", "--display-name", "s3", *keys)
    return account


def _write_settings(cluster: CephCluster) -> None:
    for name in ("mon", "osd", "rgw"):
        (cluster.folder / name).mkdir()
    cluster.conffile.write_text(
        SETTINGS.format(
            fsid=cluster.fsid,
            folder=cluster.folder,
            monitor=cluster.monitor,
            gateway_port=cluster.gateway_port,
        )
    )
    keyring = os.open(cluster.folder / "keyring", os.O_WRONLY | os.O_CREAT, 0o600)
    with open(keyring, "w") as file:
        file.writelines(_keyring_entry(name, allowed) for name, allowed in CAPABILITIES.items())


def _keyring_entry(name: str, allowed: dict[str, str]) -> str:
    capabilities = "".join(f'caps {daemon} = "{what}"\n' for daemon, what in allowed.items())
    return f"[{name}]\nkey = {_new_key()}\n{capabilities}"


def _new_key() -> str:
    """A key as `ceph-authtool --gen-key` makes them: a header, then 16 random bytes."""
    header = struct.pack("<hiih", 1, int(time.time()), 0, 16)
    return base64.b64encode(header + secrets.token_bytes(16)).decode()


@contextmanager
def _monitor(cluster: CephCluster) -> Iterator[None]:
    create = ("--create", "--fsid", cluster.fsid, "--addv", "a", cluster.monitor, "monmap")
    cluster.run("monmaptool", *create)
    cluster.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
    with _daemon(cluster, "ceph-mon", "mon.a", lambda: cluster.answers("ceph", "mon", "stat")):
        yield


@contextmanager
def _osd(cluster: CephCluster) -> Iterator[None]:
    identity = str(uuid.uuid4())
    cluster.run("ceph", "osd", "new", identity)
    cluster.run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", identity)
    cluster.run("ceph", "osd", "pool", "create", cluster.pool)
    cluster.run("ceph", "osd", "pool", "application", "enable", cluster.pool, "registry")
    write = ("rados", "--pool", cluster.pool, "put", "probe", "/dev/null")
    with _daemon(cluster, "ceph-osd", "osd.0", lambda: cluster.answers(*write)):
        cluster.run("rados", "--pool", cluster.pool, "rm", "probe")
        yield


@contextmanager
def _daemon(
    cluster: CephCluster, program: str, name: str, ready: Callable[[], bool]
) -> Iterator[None]:
    command: list[str | Path] = [program, "-f", "--name", name, "--conf", cluster.conffile]
    log = cluster.folder / f"{program}.log"
    with spawn(command, log=log) as process:
        wait_until_ready(process, ready, log=log)
        yield


def _serves(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10):
            return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def ceph() -> Iterator[CephCluster]:
    """One cluster for each pytest process that asks for it."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def rgw(ceph: CephCluster) -> Iterator[str]:
    """The address of the cluster's gateway."""
    with running_gateway(ceph) as address:
        yield address


@pytest.fixture(scope="session")
def rgw_s3(ceph: CephCluster, rgw: str) -> S3Account:
    """An account of the gateway that nobody else uses through S3."""
    return new_s3_account(ceph, rgw)


@pytest.fixture(scope="session")
def rgw_swift(ceph: CephCluster, rgw: str) -> SwiftAccount:
    """An account of the gateway that nobody else uses through Swift."""
    account = SwiftAccount(f"{rgw}/auth/v1.0", "swift:registry", secrets.token_hex(16))
    _administer(ceph, "user", "create", "--uid", "swift", "--display-name", "swift")
    key = ("--key-type", "swift", "--secret-key", account.key, "--access", "full")
    _administer(ceph, "subuser", "create", "--uid", "swift", "--subuser", account.user, *key)
    return account


def _administer(cluster: CephCluster, *arguments: str) -> None:
    cluster.run("radosgw-admin", "--name", "client.rgw", *arguments)


def require_binding() -> None:
    """End the test unless the binding to librados is there for this Python."""
    if importlib.util.find_spec("rados"):
        return
    if any(Path("/usr/lib/python3/dist-packages").glob("rados.*.so")):
        pytest.skip("the system's binding to librados is for another version of Python")
    unavailable("librados' binding (python3-rados)")
