"""Memory depends neither on how large a blob is nor on how many push."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KIB_IN_MIB = 1024


def growth(root: Path, kind: str, mib: int, clients: int) -> int:
    """By how many MiB a process grows while `clients` push so many MiB each."""
    program = [sys.executable, "-m", "tests.reliability.memory_of_a_push", kind, str(root)]
    told = subprocess.run(
        [*program, str(mib), str(clients)], capture_output=True, text=True, check=True
    )
    return int(told.stdout) // KIB_IN_MIB


def test_a_stream_is_not_held_in_memory(tmp_path: Path) -> None:
    assert growth(tmp_path, "files", 128, 1) < 24


def test_parts_in_memory_are_bounded_by_one_budget(tmp_path: Path) -> None:
    assert growth(tmp_path, "parts", 24, 24) < 110


@pytest.mark.long
def test_a_blob_of_ten_gibibytes_takes_no_more(tmp_path: Path) -> None:
    assert growth(tmp_path, "files", 10 * 1024, 1) < 32


@pytest.mark.long
def test_many_clients_take_no_more(tmp_path: Path) -> None:
    assert growth(tmp_path, "parts", 128, 40) < 110
