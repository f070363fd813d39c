"""The daemons that some client programs need: a Docker engine and a containerd of our own.

Both keep everything in a scratch folder, listen on a Unix socket in it only, touch no firewall and
no network device, and need root.  What needs no daemon (podman, skopeo, buildah) is only looked
for.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.services.processes import spawn, unavailable, wait_until_ready

HOME = Path(__file__).parents[2] / ".services" / "clients"
"""Where `clients.sh` puts what does not come as an installed Debian package."""

PYTHON = HOME / "venv" / "bin" / "python"
"""The interpreter that has Helm's and oras' modules."""

NODE_MODULES = HOME / "node" / "node_modules"

SECURE_NAME = "registry.test"
"""A name of `::1` that only the Docker engine knows.

An engine takes everything at 127.0.0.0/8 for an insecure registry, whose certificate it does not
check; this name is how it is made to check one.
"""


def require(*programs: str) -> None:
    """End the test unless we are root and every program is installed."""
    for program in programs:
        if not shutil.which(program):
            unavailable(program)
    if os.geteuid() != 0:
        pytest.skip("the client programs need root: they own image files and start daemons")


def debian_packages() -> list[Path]:
    """The Debian packages to make images of, sorted by name."""
    found = sorted(HOME.glob("debs/*.deb"))
    if not found:
        unavailable("the Debian packages for the sample image")
    return found


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """A running Docker engine."""

    socket: Path
    certificates: Path
    """Its `certs.d`: what is in `HOST:PORT/ca.crt` is trusted for that registry."""


@contextmanager
def docker_engine() -> Iterator[DockerEngine]:
    """A Docker engine that sees an `/etc` of its own, and can pull and push but run nothing."""
    require("dockerd", "docker", "unshare")
    # A short path: the names of Unix sockets in it may have 107 characters.
    with TemporaryDirectory(prefix="docker-") as scratch:
        folder = Path(scratch)
        etc = _private_etc(folder / "etc")
        engine = DockerEngine(folder / "docker.sock", etc / "docker" / "certs.d")
        options = {
            "--data-root": folder / "data",
            "--exec-root": folder / "exec",
            "--host": f"unix://{engine.socket}",
            "--pidfile": folder / "pid",
            "--storage-driver": "vfs",
            "--bridge": "none",
            "--iptables": "false",
        }
        command = ["dockerd", *(f"{option}={value}" for option, value in options.items())]
        log = folder / "log"
        with spawn(_with_etc(etc, command), log=log) as process:
            wait_until_ready(process, lambda: _answers(engine.socket), log=log)
            yield engine


def _private_etc(folder: Path) -> Path:
    """A copy of `/etc` in which `SECURE_NAME` is known."""
    shutil.copytree("/etc", folder, symlinks=True, ignore=shutil.ignore_patterns("alternatives"))
    with (folder / "hosts").open("a") as hosts:
        hosts.write(f"\n::1 {SECURE_NAME}\n")
    (folder / "docker" / "certs.d").mkdir(parents=True, exist_ok=True)
    return folder


def _with_etc(etc: Path, command: list[str]) -> list[str]:
    """`command`, run with `etc` in the place of `/etc`, which nobody else sees."""
    script = f"mount --bind {shlex.quote(str(etc))} /etc && exec {shlex.join(command)}"
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]


def _answers(socket: Path) -> bool:
    command = ["docker", "--host", f"unix://{socket}", "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def containerd() -> Iterator[Path]:
    """A containerd without its Kubernetes half; gives the path of its socket."""
    require("containerd", "ctr")
    with TemporaryDirectory(prefix="containerd-") as scratch:
        folder = Path(scratch)
        socket = folder / "containerd.sock"
        config = folder / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n'
            f'[grpc]\naddress = "{socket}"\n'
        )
        log = folder / "log"
        with spawn(["containerd", "--config", config], log=log) as process:
            ask = ["ctr", "--address", str(socket), "version"]
            wait_until_ready(
                process,
                lambda: subprocess.run(ask, capture_output=True, check=False).returncode == 0,
                log=log,
            )
            yield socket
