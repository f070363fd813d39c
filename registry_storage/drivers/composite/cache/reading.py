"""A blob that is read from the cache: blocking, one caller.

A cached file is the blob's bytes and a footer behind them, which is written last:

    8 bytes    the blob's size         big-endian
    4 bytes    CRC-32 of its bytes
    8 bytes    MAGIC

So a file that is cut off, or whose end was lost in a crash, does not pass for a blob; and one whose
bytes have rotted is found out by whoever reads all of it.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from registry_storage.drivers.api import KiB

MAGIC: Final = b"regcache"
FOOTER: Final = struct.Struct(">QI8s")
PIECE: Final = 512 * KiB


class Damaged(Exception):
    """A cached file is not what was written."""


@dataclass(slots=True)
class CachedBlob:
    """A cached file, opened; `close` it."""

    file: int
    size: int
    """Of the blob, in bytes."""
    checksum: int

    def read(self, start: int, stop: int) -> CachedRange:
        """A range, within the blob."""
        whole = (start, stop) == (0, self.size)
        return CachedRange(self.file, start, stop, self.checksum if whole else None)

    def close(self) -> None:
        """Free the descriptor."""
        os.close(self.file)


@dataclass(slots=True)
class CachedRange:
    """Bytes of a cached file from `position` to `stop`."""

    file: int
    position: int
    stop: int
    expected: int | None
    """The checksum of all of it, where it is the whole blob."""
    checksum: int = 0

    def next_piece(self) -> bytes:
        """The next bytes, empty at the end.  The last are given only if the checksum is right."""
        piece = os.pread(self.file, min(PIECE, self.stop - self.position), self.position)
        if not piece and self.position < self.stop:
            raise Damaged(f"ends at {self.position} instead of {self.stop}")
        self.position += len(piece)
        if self.expected is not None:
            self.checksum = zlib.crc32(piece, self.checksum)
            if self.position == self.stop and self.checksum != self.expected:
                raise Damaged("does not have its checksum")
        return piece


def footer(size: int, checksum: int) -> bytes:
    """What follows the bytes of a blob."""
    return FOOTER.pack(size, checksum, MAGIC)


def opened_blob(file: int) -> CachedBlob:
    """The blob in a cached file.  Raises `Damaged` where the footer does not fit the file."""
    length = os.fstat(file).st_size
    found = os.pread(file, FOOTER.size, max(0, length - FOOTER.size))
    if len(found) < FOOTER.size:
        raise Damaged("is too short")
    size, checksum, magic = FOOTER.unpack(found)
    if magic != MAGIC or size + FOOTER.size != length:
        raise Damaged("has not got its end")
    return CachedBlob(file, size, checksum)
