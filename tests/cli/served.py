"""`registry-server` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services.processes import free_port

SECONDS = 40
_COMMAND = [sys.executable, "-m", "registry_server"]


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment of the machine without settings of a registry, and these."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
    return {**kept, **settings}


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [*_COMMAND, *arguments],
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


class Served:
    """`registry-server serve` on a free port, from `start` to its end."""

    def __init__(self, directory: Path, arguments: Sequence[str] = (), **settings: str) -> None:
        self.port = free_port()
        self.log = directory / "log"
        self._arguments = arguments
        self._settings: Mapping[str, str] = {
            "REGISTRY_DATA_DIRECTORY": str(directory / "data"),
            "REGISTRY_HTTP_ADDR": f"127.0.0.1:{self.port}",
            **settings,
        }

    def start(self) -> Served:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*_COMMAND, "serve", *self._arguments],
                env=clean_environment(**self._settings),
                stdout=log,
                stderr=log,
            )
        self.wait_for_log("serving http")
        return self

    def wait_for_log(self, text: str, count: int = 1) -> None:
        """Return once the log has `text` so many times."""
        deadline = time.monotonic() + SECONDS
        while self.log.read_text().count(text) < count:
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.poll() is None or text in self.log.read_text(), self.log.read_text()
            time.sleep(0.02)

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for it to end by itself; its exit status."""
        return self.process.wait(SECONDS)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
