"""A small table of times that all processes of a host share: a file, mapped into each of them.

    header      magic and version, then the secret that keys are hashed with
    buckets     of eight slots, each the hash of a key and a time: 16 bytes, 128 to a bucket

A key has one bucket, and a lock of that bucket guards what becomes of it; the kernel lets go of a
lock when its holder dies.  Where a bucket is full the slot goes whose time is over first: what is
forgotten then is what would have been forgotten next.  So the table never grows, never fails, and
whoever fills it with keys that are new pushes out their own.

A lost or torn slot is harmless, so nothing here is ever flushed to the disk.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from registry_server.limits.gcra import MAX_SECONDS, SECOND

BUCKETS: Final = 8192
SLOTS_OF_BUCKET: Final = 8
PATIENCE_SECONDS: Final = 0.02
"""How long a bucket's lock is waited for: its holders need microseconds, unless they are stopped.
After that one count may be lost, which is better than a server that stands still."""

_MAGIC: Final = b"RATES\x00\x00\x01"
_HEADER: Final = struct.Struct("<8s32s")
_BUCKET: Final = struct.Struct(f"<{2 * SLOTS_OF_BUCKET}Q")
_SLOT: Final = struct.Struct("<QQ")
_FIRST: Final = _BUCKET.size
"""Where buckets begin: the header has the room of one."""
_SIZE: Final = _FIRST + BUCKETS * _BUCKET.size
_HASH: Final = struct.Struct("<QQ")
_HORIZON: Final = round(MAX_SECONDS * SECOND)

log = logging.getLogger(__name__)


class Table:
    """Times by keys.  For one thread of a process."""

    def __init__(self, memory: mmap.mmap, secret: bytes, file: int | None) -> None:
        self._memory = memory
        self._secret = secret
        self._file = file

    @classmethod
    def open(cls, path: Path) -> Table:
        """Open the table of that file, or make it.

        Where that is impossible, on a full disk or where nothing may be written, it is this
        process's alone, and the log says so.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls._of_file(path)
        except OSError as error:
            log.warning("each worker counts by itself how often things are done: %s", error)
            return cls.of_process()

    @classmethod
    def of_process(cls) -> Table:
        """A table that is shared with nobody."""
        return cls(mmap.mmap(-1, _SIZE), secrets.token_bytes(32), None)

    @classmethod
    def _of_file(cls, path: Path) -> Table:
        with _locked(path.parent):
            file = _open_file(path)
            if file is None:
                _make_file(path)
                file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        memory = mmap.mmap(file, _SIZE)
        _, secret = _HEADER.unpack_from(memory)
        return cls(memory, secret, file)

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._memory.close()
        if self._file is not None:
            os.close(self._file)

    def update(self, key: bytes, now: int, change: Callable[[int], int]) -> None:
        """Give `change` the time of a key, 0 where none is known, and remember what it returns."""
        hashed = blake2b(key, key=self._secret, digest_size=_HASH.size).digest()
        name, place = _HASH.unpack(hashed)
        bucket = place % BUCKETS
        with self._guarded(bucket):
            slot, before = self._find(bucket, name, now)
            _SLOT.pack_into(self._memory, slot, name, change(before))

    def _find(self, bucket: int, name: int, now: int) -> tuple[int, int]:
        """Where the slot of that name is, or is to be, and the time in it."""
        start = _FIRST + bucket * _BUCKET.size
        words = _BUCKET.unpack_from(self._memory, start)
        names, times = words[::2], words[1::2]
        if name in names:
            at = names.index(name)
            return start + at * _SLOT.size, times[at]
        # What lies far ahead is from before the machine was started, and as good as over.
        left = [until if now < until < now + _HORIZON else 0 for until in times]
        return start + left.index(min(left)) * _SLOT.size, 0

    @contextmanager
    def _guarded(self, bucket: int) -> Iterator[None]:
        if self._file is None or not _lock(self._file, bucket):
            yield
            return
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, bucket)


def _lock(file: int, bucket: int) -> bool:
    """Whether the lock was to be had in time."""
    deadline = 0.0
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, bucket)
        except BlockingIOError:
            now = time.monotonic()
            deadline = deadline or now + PATIENCE_SECONDS
            if now > deadline:
                return False
            time.sleep(0)
        else:
            return True


def _open_file(path: Path) -> int | None:
    """The file, if it is there and one of this version."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    if os.fstat(file).st_size == _SIZE and os.pread(file, len(_MAGIC), 0) == _MAGIC:
        return file
    os.close(file)
    return None


def _make_file(path: Path) -> None:
    """Put a new one in its place; who has the old one open goes on with that.

    All of it is written: to fill a hole on a full disk would end the process.
    """
    making = path.with_name(f"{path.name}.new")
    making.unlink(missing_ok=True)
    file = os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(file, _HEADER.pack(_MAGIC, secrets.token_bytes(32)).ljust(_SIZE, b"\0"), 0)
        os.rename(making, path)
    finally:
        os.close(file)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one process at a time look whether the file has to be made."""
    file = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
