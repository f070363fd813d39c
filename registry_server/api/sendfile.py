"""Files to sockets, past the transport; uvloop has no `sendfile` of its own.

    to another machine       inside the kernel: the least work for this one
    on this machine (LARGE)  copied through one small buffer

On one machine the client's own copy is the one that counts.  Out of the page cache it is a slow
one, page by page from memory; out of a buffer that lies warm in the processor's cache it is so
much faster that it makes up for ours: half as fast again, with less work for both together.

Everything here happens on a *duplicate* of the connection's descriptor.  The transport may close
its own at any moment (the client resets, a time limit strikes), the system gives the number to the
next connection, and whoever still writes to that number sends the blob to a stranger.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry_server.api.outlet import Outlet
    from registry_server.api.ranges import ByteRange

STEP: Final = 1024 * 1024
"""Bytes that one call may send before other connections get their turn.

What the system has not cached is read from the disk in that call, and the loop stands still for as
long: a millisecond or two on a flash disk, ten times that on a turning one.  Opening a file waits
for the disk in the same way.  A thread hop for each step would cost every other download more.
"""

BUFFER: Final = 512 * 1024
"""Bytes that are copied at a time; fits into the second cache of a core."""

LARGE: Final = 8 * 1024 * 1024
"""Bytes from which copying pays; what is smaller and often asked for is warm in any case."""


class FileTooShort(OSError):
    """The file ended before the bytes that were promised."""


async def send_file(
    outlet: Outlet, head: bytes, *, file: int, part: ByteRange, patience: float
) -> None:
    """Send `head` and a part of a file, which is given by its descriptor.

    For plain sockets only.  Raises `ConnectionError` where the client left or takes nothing for
    `patience` seconds, `FileTooShort`.
    """
    await outlet.flush()
    with _duplicate(outlet) as sock:
        sending = _Sending(outlet, sock, patience)
        # One packet with what follows, where there is room for both.
        await sending.send(head, socket.MSG_MORE)
        if part.size >= LARGE and _is_near(outlet, sock):
            await sending.copy(file, part)
        else:
            await sending.sendfile(file, part)


def _duplicate(outlet: Outlet) -> socket.socket:
    transport = outlet.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client left")
    number = os.dup(transport.get_extra_info("socket").fileno())
    try:
        return socket.socket(fileno=number)
    except OSError:
        os.close(number)
        raise


def _is_near(outlet: Outlet, sock: socket.socket) -> bool:
    """Whether the client, or the proxy before it, runs on this machine."""
    return not outlet.remote or outlet.remote == sock.getsockname()[0]


@dataclass(frozen=True, slots=True)
class _Sending:
    """Bytes on their way to a socket, which waits for room at most `patience` seconds."""

    outlet: Outlet
    sock: socket.socket
    patience: float

    async def send(self, data: bytes | memoryview, flags: int = 0) -> None:
        """All of `data`."""
        while data:
            try:
                sent = self.sock.send(data, flags)
            except BlockingIOError:
                await self._room()
            else:
                self.outlet.count_sent(sent)
                data = data[sent:]

    async def copy(self, file: int, part: ByteRange) -> None:
        """A part of a file, through a buffer."""
        buffer = memoryview(bytearray(BUFFER))
        start = part.start
        while start < part.stop:
            size = os.preadv(file, [buffer[: part.stop - start]], start)
            start += _not_short(size, start)
            await self.send(buffer[:size])
            if start < part.stop:
                await asyncio.sleep(0)

    async def sendfile(self, file: int, part: ByteRange) -> None:
        """A part of a file, inside the kernel."""
        start = part.start
        while start < part.stop:
            wanted = min(STEP, part.stop - start)
            sent = await self._sendfile_once(file, start, wanted)
            start += sent
            self.outlet.count_sent(sent)
            if sent == wanted and start < part.stop:
                await asyncio.sleep(0)

    async def _sendfile_once(self, file: int, start: int, wanted: int) -> int:
        while True:
            try:
                return _not_short(os.sendfile(self.sock.fileno(), file, start, wanted), start)
            except BlockingIOError:
                await self._room()

    async def _room(self) -> None:
        """Wait until the socket takes more."""
        loop = asyncio.get_running_loop()
        writable = loop.create_future()
        loop.add_writer(self.sock.fileno(), _resolve, writable)
        try:
            async with asyncio.timeout(self.patience):
                await writable
        except TimeoutError:
            message = f"the client took nothing for {self.patience:g} s"
            raise ConnectionAbortedError(message) from None
        finally:
            loop.remove_writer(self.sock.fileno())
        if self.outlet.transport is None:
            raise ConnectionResetError("the client left")


def _not_short(size: int, start: int) -> int:
    if size == 0:
        raise FileTooShort(f"the file ends at {start}")
    return size


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
