"""A SeaweedFS server for the tests: an S3 store that checks signatures.

Fixture: `seaweedfs` is an account of it, which may make buckets.

It is not AWS S3: among other things it lists keys in the order of folders, and answers requests for
encryption with an error unless it has keys.
"""

from __future__ import annotations

import json
import secrets
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.buckets import S3Account
from tests.services.processes import free_port, spawn, unavailable, wait_until_ready

PROGRAM = Path(__file__).parents[2] / ".services" / "seaweedfs" / "bin" / "weed"


@contextmanager
def running_server() -> Iterator[S3Account]:
    """A server on loopback and free ports, gone with all its data when the context is left."""
    if not PROGRAM.exists():
        unavailable("SeaweedFS")
    port = free_port()
    account = S3Account(
        f"http://127.0.0.1:{port}", secrets.token_hex(8).upper(), secrets.token_hex(20)
    )
    with tempfile.TemporaryDirectory(prefix="registry-seaweedfs-") as scratch:
        folder = Path(scratch)
        folder.joinpath("s3.json").write_text(json.dumps(_identities(account)))
        folder.joinpath("data").mkdir()
        log = folder / "log"
        # It looks for files of settings in HOME.
        command = ["env", f"HOME={folder}", PROGRAM, "server", *_options(folder, port)]
        # Asked kindly it takes more than 20 s to end, and nothing of it has to survive.
        with spawn(command, log=log, stop_signal=signal.SIGKILL) as process:
            # Only a write proves that all its parts have found each other.
            wait_until_ready(process, account.takes_writes, log=log)
            yield account


def _identities(account: S3Account) -> dict[str, object]:
    credentials = {"accessKey": account.access_key, "secretKey": account.secret_key}
    actions = ["Admin", "Read", "List", "Write"]
    return {"identities": [{"name": "registry", "credentials": [credentials], "actions": actions}]}


def _options(folder: Path, port: int) -> list[str]:
    servers = ("master", "volume", "filer")
    ports = {f"{server}.port": free_port() for server in servers}
    internal = {f"{server}.port.grpc": free_port() for server in (*servers, "s3")}
    options = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.volumeSizeLimitMB": 128,
        "master.telemetry": "false",
        "master.volumePreallocate": "false",
        "volume.max": 64,
        "filer": "true",
        "filer.localSocket": folder / "filer.sock",
        "s3": "true",
        "s3.port": port,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": folder / "s3.json",
        **ports,
        **internal,
    }
    return [f"-{name}={value}" for name, value in options.items()]


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[S3Account]:
    """One server for each pytest process that asks for it."""
    with running_server() as account:
        yield account
