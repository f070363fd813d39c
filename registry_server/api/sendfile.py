"""Files to sockets inside the kernel; uvloop has no `sendfile` of its own.

Everything here happens on a *duplicate* of the connection's descriptor.  The transport may close
its own at any moment (the client resets, a time limit strikes), the system gives the number to the
next connection, and whoever still writes to that number sends the blob to a stranger.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry_server.api.ranges import ByteRange
    from registry_server.connections import Connection

STEP: Final = 1024 * 1024
"""Bytes that one call may send before other connections get their turn.

What the system has not cached is read from the disk in that call, and the loop stands still for as
long: a millisecond or two on a flash disk, ten times that on a turning one.  Opening a file waits
for the disk in the same way.  A thread hop for each step would cost every other download more.
"""


class FileTooShort(OSError):
    """The file ended before the bytes that were promised."""


async def send_file(
    connection: Connection, head: bytes, *, file: int, part: ByteRange, patience: float
) -> None:
    """Send `head` and a part of a file, which is given by its descriptor.

    For plain sockets only.  Raises `ConnectionError` where the client left or takes nothing for
    `patience` seconds, `FileTooShort`.
    """
    await connection.flush()
    with _duplicate(connection) as sock:
        await _send_head(connection, sock, head, patience)
        start = part.start
        while start < part.stop:
            wanted = min(STEP, part.stop - start)
            sent = await _step(connection, sock, file, start, wanted, patience)
            start += sent
            connection.count_sent(sent)
            if sent == wanted and start < part.stop:
                await asyncio.sleep(0)


def _duplicate(connection: Connection) -> socket.socket:
    transport = connection.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client left")
    number = os.dup(transport.get_extra_info("socket").fileno())
    try:
        return socket.socket(fileno=number)
    except OSError:
        os.close(number)
        raise


async def _send_head(
    connection: Connection, sock: socket.socket, head: bytes, patience: float
) -> None:
    while head:
        try:
            # One packet with what follows, where there is room for both.
            head = head[sock.send(head, socket.MSG_MORE) :]
        except BlockingIOError:
            await _room(connection, sock, patience)


async def _step(
    connection: Connection, sock: socket.socket, file: int, start: int, wanted: int, patience: float
) -> int:
    while True:
        try:
            sent = os.sendfile(sock.fileno(), file, start, wanted)
        except BlockingIOError:
            await _room(connection, sock, patience)
        else:
            if sent == 0:
                raise FileTooShort(f"the file ends at {start}")
            return sent


async def _room(connection: Connection, sock: socket.socket, patience: float) -> None:
    """Wait until the socket takes more."""
    loop = asyncio.get_running_loop()
    writable = loop.create_future()
    loop.add_writer(sock.fileno(), _resolve, writable)
    try:
        async with asyncio.timeout(patience):
            await writable
    except TimeoutError:
        raise ConnectionAbortedError(f"the client took nothing for {patience:g} s") from None
    finally:
        loop.remove_writer(sock.fileno())
    if connection.transport is None:
        raise ConnectionResetError("the client left")


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
