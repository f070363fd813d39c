"""A registry server in a process of its own, and a look at what it keeps."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30
STOP_SECONDS = 20
_VOLATILE_TABLES = {"alembic_version", "events", "garbage", "leases"}
_GARBAGE = "SELECT count(*) FROM garbage"
_OWN_FILES = re.compile(r"catalog\.|marker|journal|snapshot")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a store holds: the number of its files, and of the rows of each table."""

    files: int
    rows: Mapping[str, int]


class Server:
    """`registry-server serve` over a directory, from `start` to `stop`."""

    def __init__(
        self, directory: Path, environment: Mapping[str, str] = {}, config: str | None = None
    ) -> None:
        self.directory = directory
        self.storage = directory / "storage"
        self.log = directory / "server.log"
        self.url = ""
        self._environment = environment
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Run it on a free port, and return once it says that it is ready."""
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), env=self._settings(port), stdout=log, stderr=subprocess.STDOUT
            )
        self._await_ready(port)
        return self

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "registry_server", "serve"]
        if self._config is not None:
            path = self.directory / "config.yml"
            path.write_text(self._config)
            command.append(str(path))
        return command

    def _settings(self, port: int) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
        return inherited | {
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(self.storage),
            "REGISTRY_DATA_DIRECTORY": str(self.directory / "data"),
            "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
            **self._environment,
        }

    def _await_ready(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(port):
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def terminate(self) -> None:
        """Ask it to end, and return at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, wait for that, and fail if it had to be killed or logged a traceback."""
        process = self._process
        if process is None:
            return
        self.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end within {STOP_SECONDS} s of SIGTERM") from None
        self._process = None
        logged = self.log.read_text()
        assert "Traceback" not in logged, logged[-20_000:]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def resident_bytes(self) -> int:
        """The memory that the process holds now."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def log_lines(self) -> int:
        return self.log.read_bytes().count(b"\n")

    def inventory(self) -> Inventory:
        """Files of blobs and uploads, and rows.

        Left out: what the server writes for itself, and files that are garbage by its own account.
        """
        files = [path for path in self.storage.rglob("*") if path.is_file()]
        own = [path for path in files if _OWN_FILES.search(str(path.relative_to(self.storage)))]
        with closing(self._catalog()) as catalog:
            (garbage,) = catalog.execute(_GARBAGE).fetchone()
            return Inventory(len(files) - len(own) - garbage, _rows(catalog))

    def _catalog(self) -> sqlite3.Connection:
        path = self.storage / "catalog.sqlite"
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)


def _rows(catalog: sqlite3.Connection) -> dict[str, int]:
    names = catalog.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        name: catalog.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        for (name,) in sorted(names)
        if name not in _VOLATILE_TABLES
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
