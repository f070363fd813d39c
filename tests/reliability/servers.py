"""Servers to be hurt."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from registry_storage import Digest
from tests.api.server import Server


class WorkersServer(Server):
    """A server of several worker processes, which can be killed one by one."""

    workers = 2

    def _command(self) -> list[str]:
        return [*super()._command(), "--workers", str(self.workers)]

    def kill_workers(self) -> None:
        """SIGKILL every worker; the server starts others."""
        for pid in self.worker_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def worker_pids(self) -> list[int]:
        """The processes that serve now."""
        assert self._process is not None
        pid = self._process.pid
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


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
