"""Starting and ending the server processes that tests need."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRED = "REGISTRY_TESTS_REQUIRE_SERVICES"
"""Environment variable: set where every service was installed, so a missing one is a failure."""

STOP_SECONDS = 20.0


def unavailable(what: str) -> NoReturn:
    """End the test because `what` is not installed.

    A skip that says so on a developer's machine; a failure where `REQUIRED` is set, so that nothing
    is left out silently.
    """
    reason = f"{what} is not installed: run tests/services/install.sh as root"
    if os.environ.get(REQUIRED):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A TCP port that nothing listens on at 127.0.0.1 right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    user: str | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command`, its output in `log`, and end it by process id when the context is left.

    The server also gets `stop_signal` when pytest dies without leaving the context.  `user` is the
    account to run as, where we are root.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_lifeline(stop_signal), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=cwd,
            env=environment,
        )
    try:
        yield process
    finally:
        _end(process, stop_signal)


def wait_until_ready(
    process: subprocess.Popen[bytes], ready: Callable[[], bool], *, log: Path, seconds: float = 60
) -> None:
    """Ask `ready` until it agrees.

    Raises `RuntimeError`, with the end of the log, if the server ends or the time is over first.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{process.args!r} is not ready, exit {process.returncode}:\n{tail}")
        time.sleep(0.05)


def _lifeline(stop_signal: signal.Signals) -> list[str]:
    """A prefix that makes the kernel send `stop_signal` when our process is gone (Linux only)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, f"--pdeathsig={stop_signal.name.removeprefix('SIG')}", "--"] if setpriv else []


def _end(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
