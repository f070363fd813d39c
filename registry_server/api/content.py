"""Blobs on their way out: from a local file through the kernel, else piece by piece.

Opening comes before the first header byte is sent, so that a blob which is gone can still be
answered as such.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry_server.api.ranges import ByteRange, Multipart
from registry_server.api.replies import Send
from registry_server.api.sendfile import send_file
from registry_storage.errors import BlobUnknown, DriverError
from registry_storage.values import BlobInfo

if TYPE_CHECKING:
    from registry_server.api.outlet import Outlet
    from registry_storage import Repository

PIECE: Final = 256 * 1024
Buffer = bytes | memoryview


@dataclass(frozen=True, slots=True)
class BlobContent:
    """The bytes of `part` of a blob."""

    repository: Repository
    blob: BlobInfo
    part: ByteRange

    @property
    def size(self) -> int:
        return self.part.size

    @asynccontextmanager
    async def opened(self, outlet: Outlet) -> AsyncIterator[Send]:
        """Raises `BlobUnknown`, `DriverError` where the bytes are not there."""
        part = self.part
        path = self.repository.blob_path(self.blob)
        if path is not None and outlet.is_plain:
            with _opened_file(path, self.blob) as file:
                yield partial(send_file, outlet, file=file, part=part, patience=outlet.limits.write)
            return
        async with self.repository.read_blob(self.blob, part.start, part.stop) as pieces:
            yield partial(_send_pieces, outlet, pieces=pieces, size=self.size)


@dataclass(frozen=True, slots=True)
class RangesContent:
    """Several ranges of a blob, as the parts of one `multipart/byteranges` body."""

    repository: Repository
    blob: BlobInfo
    layout: Multipart

    @property
    def size(self) -> int:
        return self.layout.size

    @asynccontextmanager
    async def opened(self, outlet: Outlet) -> AsyncIterator[Send]:
        """Raises `BlobUnknown`, `DriverError` where the bytes are not there."""
        path = self.repository.blob_path(self.blob)
        if path is not None:
            with _opened_file(path, self.blob) as file:
                yield self._sender(outlet, self._pieces_of_file(file))
            return
        # Reading an empty piece shows whether the blob is there at all.
        async with self.repository.read_blob(self.blob, 0, 0):
            pass
        async with aclosing(self._pieces_of_store()) as pieces:
            yield self._sender(outlet, pieces)

    def _sender(self, outlet: Outlet, pieces: AsyncIterator[Buffer]) -> Send:
        return partial(_send_pieces, outlet, pieces=pieces, size=self.size)

    async def _pieces_of_file(self, file: int) -> AsyncIterator[Buffer]:
        for head, part in self.layout.parts:
            yield head
            for start in range(part.start, part.stop, PIECE):
                yield os.pread(file, min(PIECE, part.stop - start), start)
        yield self.layout.end

    async def _pieces_of_store(self) -> AsyncGenerator[Buffer]:
        for run in self.layout.runs():
            start, stop = run[0][1].start, run[-1][1].stop
            async with self.repository.read_blob(self.blob, start, stop) as pieces:
                reading = _Forward(pieces, start)
                for head, part in run:
                    yield head
                    async for piece in reading.take(part):
                        yield piece
        yield self.layout.end


class _Forward:
    """Pieces that begin at `position` of a blob, to take parts from that lie further and further.

    What lies before and between the parts is dropped as it comes.
    """

    def __init__(self, pieces: AsyncIterator[bytes], position: int) -> None:
        self._pieces = pieces
        self._position = position
        self._rest = memoryview(b"")
        """Of the last piece; it begins at the position."""

    async def take(self, part: ByteRange) -> AsyncIterator[memoryview]:
        """The bytes of a part; fewer where the pieces end."""
        while self._position < part.stop:
            if not self._rest:
                piece = await anext(self._pieces, None)
                if piece is None:
                    return
                self._rest = memoryview(piece)
            wanted = self._rest[max(0, part.start - self._position) : part.stop - self._position]
            used = min(len(self._rest), part.stop - self._position)
            self._rest = self._rest[used:]
            self._position += used
            yield wanted


async def _send_pieces(
    outlet: Outlet, head: bytes, pieces: AsyncIterator[Buffer], size: int
) -> None:
    """Gathers small pieces, so that a thousand of them are not a thousand packets.

    Raises `DriverError` where they are not the `size` bytes that the head promised.
    """
    gathered = bytearray(head)
    left = size
    async for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        large = len(piece) >= PIECE
        if not large:
            gathered += piece
        if large or len(gathered) >= PIECE:
            outlet.write(bytes(gathered))
            gathered.clear()
            if large:
                outlet.write(piece)
            await outlet.drain()
    if left:
        raise DriverError(f"the store sent {size - left} bytes where {size} were stored")
    outlet.write(bytes(gathered))
    await outlet.drain()


@contextmanager
def _opened_file(path: Path, blob: BlobInfo) -> Iterator[int]:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise BlobUnknown(f"blob {blob.digest} has just been deleted") from None
    try:
        found = os.fstat(file).st_size
        if found != blob.size:
            message = f"blob {blob.digest} has {found} bytes where {blob.size} were stored"
            raise DriverError(message, location=blob.location)
        yield file
    finally:
        os.close(file)
