"""Threads share heaps: what glibc itself says of a process with many of them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from registry_server.operations.heap import HEAPS

MANY_THREADS = """
import ctypes, sys, threading
from registry_server.operations.heap import share_heaps

if sys.argv[1] == "shared":
    share_heaps()
together = threading.Barrier(8)
libc = ctypes.CDLL(None)

def take():
    together.wait()
    libc.malloc(100_000)
    together.wait()

threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


def _heaps(how: str) -> int:
    command = (sys.executable, "-c", MANY_THREADS, how)
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.count(
        "<heap nr="
    )


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heaps are glibc's")
def test_threads_share_heaps() -> None:
    assert _heaps("shared") <= HEAPS < _heaps("not shared")
