"""System calls that make bytes and names durable, and never follow a link.

What is written is on disk when `os.fsync` of its file *and* `sync_folder` of every folder whose
entries changed have returned.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, cast

from registry_storage.drivers.api import Buffer, MiB

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
PIECES_A_CALL: Final = 512  # half of Linux's IOV_MAX
COPY_STEP: Final = 64 * MiB
UNSUPPORTED: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV, errno.EISDIR)
_START_WRITING = 2  # SYNC_FILE_RANGE_WRITE


@contextmanager
def opened_folder(path: str, parent: int | None = None) -> Iterator[int]:
    """A descriptor of a folder; `path` is relative to `parent`, and not a link."""
    folder = open_folder(path, parent)
    try:
        yield folder
    finally:
        os.close(folder)


def open_folder(path: str, parent: int | None = None) -> int:
    """A descriptor of a folder, for the caller to close; a link raises `NotADirectoryError`."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def open_file(name: str, folder: int) -> int:
    """A descriptor of a file, for reading; anything but a plain file raises `FileNotFoundError`."""
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise FileNotFoundError(errno.ENOENT, "not a plain file", name)


def create_file(name: str, folder: int) -> int:
    """A descriptor of a new file, for writing; `FileExistsError` where there is one."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.open(name, flags, FILE_MODE, dir_fd=folder)


def create_unnamed(folder: int) -> int | None:
    """A descriptor of a new file without a name, which a crash leaves no trace of.

    None where the file system (NFS, say) or the platform has no such thing.
    """
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        return os.open(".", os.O_WRONLY | os.O_TMPFILE, FILE_MODE, dir_fd=folder)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        raise


def give_name(file: int, name: str, folder: int) -> bool:
    """Link a file made by `create_unnamed` into its folder, unless that name is there already.

    False where the platform cannot: /proc is not mounted.
    """
    try:
        os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder, follow_symlinks=True)
    except FileExistsError:
        return True
    except FileNotFoundError:
        return False
    return True


def remove_file(name: str, folder: int) -> bool:
    """Remove a file; whether it was there."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def make_folder(name: str, parent: int) -> None:
    """Make a folder, durably; one that is there may not have been synced by its maker yet."""
    with suppress(FileExistsError):
        os.mkdir(name, FOLDER_MODE, dir_fd=parent)
    sync_folder(parent)


def sync_folder(folder: int) -> None:
    """Make a folder's entries durable, where the file system can say so."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def write_all(file: int, buffers: Sequence[Buffer]) -> int:
    """Write all the bytes; their number."""
    pending = [memoryview(buffer) for buffer in buffers if len(buffer)]
    total = sum(view.nbytes for view in pending)
    while pending:
        written = os.writev(file, pending[:PIECES_A_CALL])
        pending = _after(pending, written)
    return total


def _after(views: list[memoryview], written: int) -> list[memoryview]:
    """What is left of `views` behind the first `written` bytes."""
    for done, view in enumerate(views):
        if written < view.nbytes:
            return [view[written:], *views[done + 1 :]]
        written -= view.nbytes
    return []


def append_file(source: int, target: int) -> int:
    """Append all of `source` to `target` inside the kernel where it can; the number of bytes."""
    copied = 0
    while count := _copy_some(source, target):
        copied += count
    return copied


def _copy_some(source: int, target: int) -> int:
    try:
        return os.copy_file_range(source, target, COPY_STEP)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    return write_all(target, [os.read(source, 1 * MiB)])


def start_writeback(file: int, offset: int, size: int) -> None:
    """Have the kernel begin to write these bytes out, so that the last fsync has little to do.

    Where the platform cannot, nothing happens: `os.fsync` is what makes them durable.
    """
    if _sync_file_range is not None:
        _sync_file_range(file, offset, size, _START_WRITING)


def _load_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    try:
        function = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return cast("Callable[[int, int, int, int], int]", function)


_sync_file_range = _load_sync_file_range()
