"""The file of a part that is being written, and a blob that is being read: blocking, one caller."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from registry_storage.drivers.api import Buffer, Handle, KiB, MiB
from registry_storage.drivers.filesystem import durable, layout
from registry_storage.drivers.filesystem.failures import translating, upload_at
from registry_storage.errors import DriverError

WRITEBACK_STEP = 8 * MiB
AT_ONCE = 64 * KiB
"""What is at most this long is read when it is opened, in the same hop to a thread."""
PIECE = 512 * KiB


class Segment:
    """One part's file.  `finish` makes it count, `discard` leaves nothing of it."""

    def __init__(self, root: Path, uploads: int, handle: Handle, offset: int) -> None:
        self.name = layout.new_segment(offset)
        self._root = root
        self._uploads = uploads
        self._handle = handle
        self._folder: int | None = None
        self._file: int | None = None
        self._size = 0
        self._told = 0  # how far the kernel was told to write

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Append; durable only after `finish`.  Raises `UploadNotFound`, `NoSpace`, …"""
        with upload_at(self._root, self._handle):
            file, _ = self._opened()
            self._size += durable.write_all(file, buffers)
            if self._size - self._told >= WRITEBACK_STEP:
                durable.start_writeback(file, self._told, self._size - self._told)
                self._told = self._size

    def finish(self, buffers: Sequence[Buffer]) -> int:
        """Append the last bytes and make the part durable; its size.

        Raises `UploadNotFound` where the upload was aborted or committed meanwhile.
        """
        self.write(buffers)
        with upload_at(self._root, self._handle):
            file, folder = self._opened()
            os.fsync(file)
            if os.fstat(file).st_nlink == 0:
                raise FileNotFoundError(errno.ENOENT, "the upload has gone", self.name)
            durable.sync_folder(folder)
        self._close()
        return self._size

    def discard(self) -> None:
        """Leave nothing of the part; also where nothing was written or the upload has gone."""
        if self._folder is not None and self._file is not None:
            durable.remove_file(self.name, self._folder)
        self._close()

    def _opened(self) -> tuple[int, int]:
        if self._folder is None:
            self._folder = durable.open_folder(self._handle, self._uploads)
        if self._file is None:
            self._file = durable.create_file(self.name, self._folder)
        return self._file, self._folder

    def _close(self) -> None:
        for descriptor in (self._file, self._folder):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._folder = None


@dataclass(slots=True)
class Reading:
    """A range of a published blob, opened."""

    root: Path
    location: str
    file: int | None
    position: int
    stop: int
    at_once: bytes = b""
    """What was read when it was opened."""

    def read_if_short(self) -> None:
        """Read a short range at once and free the descriptor."""
        if self.stop - self.position <= AT_ONCE:
            while self.position < self.stop:
                self.at_once += self.next_piece()
            self.close()

    def next_piece(self) -> bytes:
        """The next bytes; raises `DriverError` where the file ends before the range does."""
        assert self.file is not None
        with translating(self.root, self.location):
            piece = os.pread(self.file, min(PIECE, self.stop - self.position), self.position)
        if not piece:
            raise DriverError(
                f"{self.location} ends at {self.position}: {self.root} has lost bytes of it",
                location=self.location,
            )
        self.position += len(piece)
        return piece

    def close(self) -> None:
        """Free the descriptor."""
        if self.file is not None:
            os.close(self.file)
            self.file = None
