"""Servers end with the test, and a missing one is never passed over in silence."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.processes import REQUIRED, free_port, spawn, unavailable, wait_until_ready

SLEEPER = ["sleep", "600"]

SPAWN_AND_DIE = """
import os, sys
from pathlib import Path
from tests.services.processes import spawn, wait_until_ready
log = Path(sys.argv[1])
context = spawn(["sh", "-c", "echo up; exec sleep 600"], log=log)
process = context.__enter__()
wait_until_ready(process, lambda: log.read_text() == "up\\n", log=log)
print(process.pid, flush=True)
sys.stdin.read()
os._exit(1)
"""


def test_a_server_ends_when_its_context_is_left(tmp_path: Path) -> None:
    with spawn(SLEEPER, log=tmp_path / "log") as process:
        assert process.poll() is None
    assert process.returncode == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal is Linux's")
def test_a_server_ends_when_its_starter_dies(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", SPAWN_AND_DIE, tmp_path / "log"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    descriptor = os.pidfd_open(int(starter.stdout.readline()))
    starter.communicate("")
    # A pidfd is readable once its process has ended.
    assert _readable_within(descriptor, seconds=10)
    os.close(descriptor)


def test_a_server_that_ends_early_is_told_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        spawn(["sh", "-c", "echo no such setting; exit 3"], log=log) as process,
        pytest.raises(RuntimeError, match="exit 3:\nno such setting"),
    ):
        wait_until_ready(process, lambda: False, log=log)


def test_what_is_missing_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"Ceph is not installed: run .*install\.sh"):
        unavailable("Ceph")


def test_what_is_missing_is_a_failure_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="Ceph is not installed"):
        unavailable("Ceph")


def test_a_free_port_is_a_port() -> None:
    assert 1024 <= free_port() <= 65535


def _readable_within(descriptor: int, *, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])
