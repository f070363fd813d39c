"""This project's server in a process of its own: the way in which every test starts it."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.services.processes import free_port, spawn, wait_until_ready

COMMAND: Final = (sys.executable, "-m", "registry_server")
SECONDS: Final = 40
"""How long anything may take."""


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of the machine without settings of a registry, and these."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
    return {**kept, **settings}


def run(*arguments: str, told: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `registry-server` that ends by itself; `told` is its standard input."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=clean_environment(settings),
        input=told,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


class RegistryServer:
    """`registry-server serve` on a free port of loopback, from `start` to its end.

    `config` is the text of its configuration file.  What neither that nor `environment` puts
    elsewhere lies in `directory`.
    """

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str] = {},
        config: str | None = None,
        *,
        workers: int = 1,
        arguments: Sequence[str] = (),
        host: str = "127.0.0.1",
        scheme: str = "http",
    ) -> None:
        self.directory = directory
        self.storage = directory / "storage"
        """Where the blobs are by default."""
        self.log = directory / "server.log"
        self.port = free_port()
        self.url = f"{scheme}://{host or '127.0.0.1'}:{self.port}"
        self.config = config
        self._arguments = ["--workers", str(workers), *arguments]
        self._environment = {
            "REGISTRY_DATA_DIRECTORY": str(directory),
            "REGISTRY_HTTP_ADDR": f"{host}:{self.port}",
            **environment,
        }
        self._running = ExitStack()

    def start(self) -> RegistryServer:
        """Return once it is ready.  Raises `RuntimeError`, with the log, where it is not."""
        environment = clean_environment(self._environment)
        self.process = self._running.enter_context(
            spawn(self._command(), log=self.log, environment=environment)
        )
        try:
            wait_until_ready(self.process, self._is_ready, log=self.log)
        except RuntimeError:
            self._running.close()
            raise
        return self

    def _command(self) -> list[str]:
        command = [*COMMAND, "serve", *self._arguments]
        if self.config is None:
            return command
        path = self.directory / "config.yml"
        path.write_text(self.config)
        return [*command, str(path)]

    def _is_ready(self) -> bool:
        return self._answers("/readyz")

    def _answers(self, target: str) -> bool:
        """Whether the answer is 200, or that one has to log in."""
        anyone = ssl._create_unverified_context()
        try:
            urlopen(f"{self.url}{target}", timeout=10, context=anyone).close()
        except HTTPError as error:
            return error.code == HTTPStatus.UNAUTHORIZED
        except OSError:  # nobody listens, or who does is too busy to answer
            return False
        return True

    # Ending

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, and return at once."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for it to end by itself; its exit status."""
        return self.process.wait(SECONDS)

    def stop(self) -> None:
        """Ask it to end, if it has not; fail if it did not, or logged a traceback."""
        had_ended = self.process.poll() is not None
        self._running.close()
        ended = had_ended or self.process.returncode != -signal.SIGKILL
        assert ended, f"it did not end when told:\n{self.log_end()}"
        assert "Traceback" not in self.log.read_text(), self.log_end()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self._running.close()

    # What it does

    def worker_pids(self) -> set[int]:
        """The processes below the one that was started."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return {int(child) for child in children.split()}

    def resident_bytes(self) -> int:
        """The memory that the process holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def log_lines(self) -> int:
        return self.log.read_bytes().count(b"\n")

    def log_end(self) -> str:
        return self.log.read_text(errors="replace")[-5000:]

    def wait_for_log(self, text: str) -> None:
        """Return once the log has `text`."""
        wait_until(lambda: text in self.log.read_text(), self.log_end)


def wait_until(
    agreed: Callable[[], bool], otherwise: Callable[[], str] = lambda: "that never happens"
) -> None:
    """Wait for what no event tells of.  Fails with what `otherwise` says."""
    deadline = time.monotonic() + SECONDS
    while not agreed():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)
