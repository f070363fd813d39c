"""A relay between a client and the registry: it notes what is said, and can cut a line."""

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
class Direction:
    """What one side said, on all connections."""

    cut_after: int = 0
    """The first connection on which this side says more bytes than that is cut; 0 is never."""
    said: bytearray = field(default_factory=bytearray)

    def copy(self, source: socket.socket, target: socket.socket) -> None:
        """Pass on what comes, until the line is at its end, or cut."""
        passed = 0
        with suppress(OSError):
            while piece := source.recv(PIECE):
                self.said += piece
                passed += len(piece)
                if 0 < self.cut_after < passed:
                    self.cut_after = 0
                    source.shutdown(socket.SHUT_RDWR)
                    target.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)


@dataclass(frozen=True, slots=True)
class Relay:
    """A running relay."""

    host: str
    """Its host and port, to be used in the place of the registry's."""
    requests: Direction
    answers: Direction

    def ranges(self) -> list[str]:
        """What each request with a `Range` header asked for."""
        found = re.findall(rb"\r\nRange: bytes=([^\r]*)\r\n", bytes(self.requests.said))
        return [header.decode() for header in found]

    def forget(self) -> None:
        """Forget what was said so far."""
        self.requests.said.clear()
        self.answers.said.clear()


@contextmanager
def relay_to(
    registry: Registry, *, cut_requests_after: int = 0, cut_answers_after: int = 0
) -> Iterator[Relay]:
    """Relay between a port of its own and `registry`, which must not use TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        relay = Relay(host, Direction(cut_requests_after), Direction(cut_answers_after))
        accept = threading.Thread(target=_serve, args=(listener, registry, relay), daemon=True)
        accept.start()
        yield relay
        listener.shutdown(socket.SHUT_RDWR)
        accept.join()


def _serve(listener: socket.socket, registry: Registry, relay: Relay) -> None:
    host, _, port = registry.host.rpartition(":")
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection((host, int(port)))
            for copy, ends in (
                (relay.requests.copy, (client, server)),
                (relay.answers.copy, (server, client)),
            ):
                threading.Thread(target=copy, args=ends, daemon=True).start()
