"""How the C library keeps the memory that threads free.

glibc gives threads heaps of their own, up to eight for each core, and each keeps pieces that were
freed for its own threads.  A blob's bytes pass through many threads, one piece at a time; so a
server that moves large blobs would come to hold many times what it uses.  Python lets one thread
run at a time: two heaps cost it nothing.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

HEAPS = 2
_M_ARENA_MAX = -8


def share_heaps() -> None:
    """Let all threads that start from now on share `HEAPS`; another C library than glibc does so.

    Processes that are forked inherit it.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, HEAPS)
