"""The folder of a cache: every operation in full, blocking.

    DIRECTORY/
      taken                 how many bytes are taken; locked (flock) while anything changes
      blobs/ab/cdef…        a blob, under the SHA-256 of its location, and a footer
      filling/<nonce>       one being written, locked by its writer; unlocked: the writer has died

Safe to use from many threads and many processes of one host at once.  Bytes are reserved before
they are written, and what was used longest ago (by its time of modification, which reading renews)
makes room: the budget holds for all processes together.  A blob is named when it is whole and on
disk.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import secrets
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from registry_storage.drivers.api import Buffer, KiB
from registry_storage.drivers.composite.cache.reading import (
    FOOTER,
    CachedBlob,
    Damaged,
    footer,
    opened_blob,
)
from registry_storage.errors import AccessDenied, DriverError, NoSpace

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
BLOCK: Final = 4 * KiB
"""Small files take a block of the disk each, so that is what they count."""
RENEWED_AFTER: Final = 60.0
"""Seconds; a use within them of another is not written down."""
ROOM: Final = 20
"""When something has to go, a twentieth of the budget is freed at once."""

_ERRORS: Final = {
    errno.EACCES: AccessDenied,
    errno.EPERM: AccessDenied,
    errno.EROFS: AccessDenied,
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
}

log = logging.getLogger(__name__)


class CacheFiles:
    """One folder with its budget, in bytes."""

    def __init__(self, directory: Path, budget: int) -> None:
        self._directory = directory
        self._budget = budget
        self._blobs = directory / "blobs"
        self._filling = directory / "filling"
        self._taken: int | None = None
        self._mutex = threading.Lock()

    def open(self) -> None:
        """Make what is missing, remove what dead writers have left, and count what is there.

        Raises `AccessDenied`, `NoSpace` or `DriverError`, with what to do.
        """
        try:
            for folder in (self._blobs, self._filling):
                folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._taken = os.open(self._directory / "taken", flags, FILE_MODE)
            with self._locked():
                self._remove_dead()
                self._write_taken(self._counted())
                self._make_room(0)
        except OSError as error:
            self.close()
            raise _ERRORS.get(error.errno or 0, DriverError)(
                f"the cache cannot use {self._directory} ({error.strerror}): give this process a "
                "folder of its own there, on a local disk with room for the cache"
            ) from error

    def close(self) -> None:
        """Free the lock."""
        taken, self._taken = self._taken, None
        if taken is not None:
            os.close(taken)

    def find(self, location: str) -> CachedBlob | None:
        """The blob, opened, for the caller to close; one that is damaged is removed."""
        try:
            file = os.open(self._path(location), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.ENOENT:
                log.warning("the cache cannot be read: %s", error)
            return None
        try:
            _renew(file)
            return opened_blob(file)
        except (Damaged, OSError) as error:
            os.close(file)
            self.drop_damaged(location, error)
            return None

    def drop_damaged(self, location: str, error: Exception) -> None:
        """Remove a blob that is not what was written; the next read fetches it anew."""
        log.warning("a cached copy of %s is removed: it %s", location, error)
        self.drop([location])

    def drop(self, locations: Iterable[str]) -> None:
        """Remove these blobs, where they are there."""
        for location in locations:
            self.forget(self._path(location))

    def begin(self, location: str, size: int) -> Writing | None:
        """Reserve room for a blob and begin to write it; None where there is no room for it."""
        length = size + FOOTER.size
        cost = _cost(length)
        if cost > self._budget:
            return None
        with self._locked():
            if not self._make_room(cost):
                return None
            path = self._filling / secrets.token_hex(8)
            writing = Writing(self, location, size, path, _created(path, length))
            self._write_taken(self._read_taken() + cost)
            return writing

    def publish(self, writing: Writing) -> None:
        """Name a blob that is whole and on disk, unless another process has, or it is unwanted."""
        path = self._path(writing.location)
        path.parent.mkdir(FOLDER_MODE, exist_ok=True)
        with self._locked():
            if not writing.unwanted:
                with suppress(FileExistsError):
                    os.link(writing.path, path)
                    writing.path.unlink()

    def forget(self, path: Path) -> None:
        """Remove a file of the cache, if it is there."""
        with self._locked():
            self._write_taken(self._read_taken() - self._remove(path))

    # Helpers; all but the first hold the lock

    def _path(self, location: str) -> Path:
        name = hashlib.sha256(location.encode(errors="surrogatepass")).hexdigest()
        return self._blobs / name[:2] / name[2:]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._taken is None:
            raise OSError(errno.EBADF, "the cache is closed")
        with self._mutex:
            fcntl.flock(self._taken, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._taken, fcntl.LOCK_UN)

    def _read_taken(self) -> int:
        assert self._taken is not None
        text = os.pread(self._taken, 32, 0)
        return int(text) if text.strip().isdigit() else self._counted()

    def _write_taken(self, taken: int) -> None:
        assert self._taken is not None
        os.pwrite(self._taken, b"%020d\n" % max(0, taken), 0)

    def _counted(self) -> int:
        paths = [*self._blobs.glob("*/*"), *self._filling.iterdir()]
        return sum(_cost_of(path) for path in paths)

    def _remove(self, path: Path) -> int:
        """How many bytes that has freed."""
        cost = _cost_of(path)
        path.unlink(missing_ok=True)
        return cost

    def _remove_dead(self) -> None:
        for path in self._filling.iterdir():
            with suppress(FileNotFoundError):
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                with suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                os.close(file)

    def _make_room(self, cost: int) -> bool:
        """Whether so many bytes fit in, after removing what was used longest ago."""
        taken = self._read_taken()
        if taken + cost <= self._budget:
            return True
        aim = max(self._budget - self._budget // ROOM, cost)
        for path in self._by_last_use():
            if taken + cost <= aim:
                break
            taken -= self._remove(path)
        self._write_taken(taken)
        return taken + cost <= self._budget

    def _by_last_use(self) -> list[Path]:
        found: list[tuple[float, Path]] = []
        for path in self._blobs.glob("*/*"):
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found)]


class Writing:
    """A blob being written.  `finish` names it, `discard` leaves nothing of it."""

    def __init__(self, files: CacheFiles, location: str, size: int, path: Path, file: int) -> None:
        self.location = location
        self.path = path
        self.unwanted = False
        """Set when the blob is deleted meanwhile."""
        self._files = files
        self._size = size
        self._file: int | None = file
        self._written = 0
        self._checksum = 0

    def write(self, data: Buffer) -> None:
        """Append."""
        view = memoryview(data)
        self._checksum = zlib.crc32(view, self._checksum)
        while view:
            count = os.pwrite(self._opened, view, self._written)
            self._written += count
            view = view[count:]

    def another_descriptor(self) -> int:
        """For somebody who reads what is written; outlives this object."""
        return os.dup(self._opened)

    def finish(self) -> None:
        """Make it durable and name it.  Raises `Damaged` where there are too few bytes or more."""
        if self._written != self._size:
            raise Damaged(f"has {self._written} bytes instead of {self._size}")
        os.pwrite(self._opened, footer(self._size, self._checksum), self._written)
        os.fsync(self._opened)
        self._files.publish(self)

    def discard(self) -> None:
        """Free the descriptor, and remove what was not named."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
            self._files.forget(self.path)

    @property
    def _opened(self) -> int:
        assert self._file is not None, "it was discarded"
        return self._file


def _created(path: Path, length: int) -> int:
    """A new file of that length, which so counts in full from the start, locked by its writer."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.ftruncate(file, length)
    except BaseException:
        os.close(file)
        path.unlink()
        raise
    return file


def _cost(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _cost_of(path: Path) -> int:
    try:
        return _cost(path.stat().st_size)
    except FileNotFoundError:
        return 0


def _renew(file: int) -> None:
    """Write down that it is used now."""
    if time.time() - os.fstat(file).st_mtime > RENEWED_AFTER:
        os.utime(file)
