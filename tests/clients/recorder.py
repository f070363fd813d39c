"""A relay that notes what a client and the registry say to each other."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.clients.registries import Registry

PIECE = 1 << 16


@dataclass(slots=True)
class Recording:
    """Everything that went through the relay, connection after connection."""

    host: str
    """The relay's host and port, to be used in the place of the registry's."""
    requests: bytearray = field(default_factory=bytearray)
    answers: bytearray = field(default_factory=bytearray)

    def ranges(self) -> list[int]:
        """How many ranges each request with a `Range` header asked for."""
        headers = re.findall(rb"\r\nRange: bytes=([^\r]*)\r\n", bytes(self.requests))
        return [header.count(b",") + 1 for header in headers]

    def clear(self) -> None:
        """Forget what was said so far."""
        self.requests.clear()
        self.answers.clear()


@contextmanager
def recording(registry: Registry) -> Iterator[Recording]:
    """Relay between a port of its own and `registry`, which must not use TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        record = Recording(f"127.0.0.1:{listener.getsockname()[1]}")
        accept = threading.Thread(target=_serve, args=(listener, registry, record), daemon=True)
        accept.start()
        yield record
        listener.shutdown(socket.SHUT_RDWR)
        accept.join()


def _serve(listener: socket.socket, registry: Registry, record: Recording) -> None:
    host, _, port = registry.host.rpartition(":")
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection((host, int(port)))
            for source, target, log in (
                (client, server, record.requests),
                (server, client, record.answers),
            ):
                threading.Thread(target=_copy, args=(source, target, log), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket, log: bytearray) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            log += piece
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
