"""Servers to be hurt."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from registry_storage import Digest
from tests.services.registry import RegistryServer


def kill_workers(server: RegistryServer) -> None:
    """SIGKILL every worker; the server starts others."""
    for pid in server.worker_pids():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def damaged_rows(storage: Path) -> list[str]:
    """Blobs and manifests of a stopped store whose row promises bytes that are not there."""
    with closing(sqlite3.connect(storage / "catalog.sqlite")) as catalog:
        tables = ("blobs", "manifest_payloads")
        queries = [f"SELECT digest, location FROM {table}" for table in tables]
        rows = catalog.execute(" UNION ".join(queries)).fetchall()
    return [digest for digest, location in rows if not _has_digest(storage / location, digest)]


def _has_digest(path: Path, digest: str) -> bool:
    algorithm = Digest.parse(digest).algorithm
    return path.is_file() and Digest.of(path.read_bytes(), algorithm) == digest
