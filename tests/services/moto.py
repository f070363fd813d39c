"""moto's S3 server for the tests: an emulator, quick to start, in memory.

Fixture: `moto` is an account of it, which may make buckets.

It checks no signature, no key and no expiry: whether those are right, other servers show.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services.buckets import S3Account
from tests.services.processes import free_port, spawn, unavailable, wait_until_ready

PROGRAM = Path(__file__).parents[2] / ".services" / "moto" / "bin" / "moto_server"


@contextmanager
def running_server() -> Iterator[S3Account]:
    """A server on loopback and a free port, gone with all its data when the context is left."""
    if not PROGRAM.exists():
        unavailable("moto")
    port = free_port()
    account = S3Account(f"http://127.0.0.1:{port}", "any", "thing")
    with tempfile.TemporaryDirectory(prefix="registry-moto-") as scratch:
        log = Path(scratch, "log")
        with spawn([PROGRAM, "-H", "127.0.0.1", "-p", str(port)], log=log) as process:
            wait_until_ready(process, account.takes_writes, log=log)
            yield account


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Account]:
    """One server for each pytest process that asks for it."""
    with running_server() as account:
        yield account
