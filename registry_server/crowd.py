"""How many connections one process takes, in all and from one address.

Somebody who opens thousands must not keep others out.  Loopback is not counted: there a proxy or a
test stands for many clients.  So does a trusted proxy: behind one, each request counts for its
client instead of the connection.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from registry_server.settings.model import ConnectionSettings

COMPLAINT_SECONDS: Final = 60.0
_NETWORK: Final = slice(8)
"""Of the bytes of an IPv6 address: a /64 is what one client gets."""

log = logging.getLogger(__name__)


def address_of(remote: str) -> IPv4Address | IPv6Address:
    """The address, without the zone of a local one; IPv4 also where it came through IPv6."""
    address = ip_address(remote.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def client_of(remote: str) -> bytes:
    """What stands for the client at an address: all IPv6 addresses of one network are the same.

    Empty for loopback, and for a Unix socket, whose address is empty.
    """
    if not remote:
        return b""
    address = address_of(remote)
    if address.is_loopback:
        return b""
    return address.packed if address.version == 4 else address.packed[_NETWORK]


def allow_many_files() -> int:
    """Raise this process's limit of open files as far as the system lets it; what it is then."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class Place(Enum):
    """Where a connection is."""

    INSIDE = auto()
    AT_THE_DOOR = auto()
    """It is answered that there is no room."""
    NOWHERE = auto()
    """It ends at once: there are too many at the door, too."""


class Crowd:
    """The connections of one process.

    A connection that serves a blob has three files open, and what else is open wants some too;
    `open_files` is how many there may be.
    """

    def __init__(self, settings: ConnectionSettings, open_files: int) -> None:
        self._most = min(settings.total, open_files // 4)
        self._most_of_a_client = settings.peraddress
        self._sizes = dict.fromkeys(Place, 0)
        self._clients: dict[bytes, int] = {}
        self._complained = -COMPLAINT_SECONDS

    def enter(self, remote: str) -> Place:
        """Count a connection from that address; where there is room for it."""
        client = client_of(remote)
        place = self._place(client, remote)
        self._sizes[place] += 1
        if place is Place.INSIDE:
            self._count(client)
        return place

    def leave(self, remote: str, place: Place) -> None:
        """Count no longer what `enter` counted."""
        self._sizes[place] -= 1
        if place is Place.INSIDE:
            self._count_no_longer(client_of(remote))

    @contextmanager
    def request_of(self, remote: str) -> Iterator[bool]:
        """Count a request, which came through a proxy, for its client; whether it has room."""
        client = client_of(remote)
        if self._has_its_share(client, remote):
            yield False
            return
        self._count(client)
        try:
            yield True
        finally:
            self._count_no_longer(client)

    def _count(self, client: bytes) -> None:
        self._clients[client] = self._clients.get(client, 0) + 1

    def _count_no_longer(self, client: bytes) -> None:
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]

    def _has_its_share(self, client: bytes, remote: str) -> bool:
        if not client or self._clients.get(client, 0) < self._most_of_a_client:
            return False
        self._complain(f"more than {self._most_of_a_client} from {remote}")
        return True

    def _place(self, client: bytes, remote: str) -> Place:
        if not self._has_its_share(client, remote):
            if self._sizes[Place.INSIDE] < self._most:
                return Place.INSIDE
            self._complain(f"more than {self._most} in all")
        at_the_door = self._sizes[Place.AT_THE_DOOR]
        return Place.AT_THE_DOOR if at_the_door < self._most // 2 else Place.NOWHERE

    def _complain(self, reason: str) -> None:
        now = time.monotonic()
        if now - self._complained >= COMPLAINT_SECONDS:
            self._complained = now
            log.warning("connections are turned away: %s (http.connections)", reason)
