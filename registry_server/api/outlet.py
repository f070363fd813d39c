"""What an answer that sends itself needs of the connection it goes out on."""

from __future__ import annotations

import asyncio
from typing import Protocol

from registry_server.settings.model import TimeoutSettings


class Outlet(Protocol):
    """The sending half of a client's connection.  `connections.Connection` is one."""

    @property
    def limits(self) -> TimeoutSettings:
        """How long the client may take."""

    @property
    def remote(self) -> str:
        """The address of whoever opened it; empty for a Unix socket."""

    @property
    def is_plain(self) -> bool:
        """Whether bytes go to the socket as they are, without TLS."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None from when the connection is lost."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand bytes to the transport.  Raises `ConnectionResetError` where the client left."""

    async def drain(self) -> None:
        """Wait until the transport takes more.  Raises `ConnectionError` where the client left."""

    async def flush(self) -> None:
        """Wait until the transport holds no bytes back, so that others may write to its socket."""

    def count_sent(self, size: int) -> None:
        """Tell of bytes that went to the socket past the transport."""
