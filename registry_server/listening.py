"""Listening sockets for an address of the settings."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextlib import closing

from registry_server.settings import Address
from registry_storage.errors import ConfigurationInvalid

BACKLOG = 4096


def listen(address: Address, *, shared: bool = False) -> list[socket.socket]:
    """Sockets that listen at `address`, for every family that its host resolves to.

    `shared`: other processes of ours may listen there too, each with a queue of its own.  Port 0
    is one free port for all of them.  Raises `ConfigurationInvalid`.
    """
    sockets: list[socket.socket] = []
    port = address.port
    try:
        for family, host in _places(address):
            sockets.append(_listener(family, host, port, shared=shared))
            port = sockets[0].getsockname()[1]
    except OSError as error:
        close_all(sockets)
        raise ConfigurationInvalid(f"http.addr: {_problem(address, error)}") from None
    return sockets


def ensure_free(address: Address) -> None:
    """Raises `ConfigurationInvalid` where another program listens: sharing would not notice."""
    close_all(listen(address))


def close_all(sockets: Sequence[socket.socket]) -> None:
    for listener in sockets:
        listener.close()


def _places(address: Address) -> list[tuple[socket.AddressFamily, str]]:
    """Families and literal addresses; for every interface, one socket that takes both families."""
    if not address.host:
        return [(socket.AF_INET6, "::")] if _has_ipv6() else [(socket.AF_INET, "0.0.0.0")]
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    usable = (socket.AF_INET, socket.AF_INET6) if _has_ipv6() else (socket.AF_INET,)
    places = {(family, str(at[0])): None for family, _, _, _, at in found if family in usable}
    if not places:
        raise OSError(errno.EADDRNOTAVAIL, "IPv6 is not available on this machine")
    return list(places)


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with closing(socket.socket(socket.AF_INET6, socket.SOCK_STREAM)) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _listener(family: socket.AddressFamily, host: str, port: int, *, shared: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _problem(address: Address, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"{address} is in use by another program; stop it, or choose another port"
        case errno.EACCES:
            return f"{address} may not be used by this user; choose a port from 1024 up"
        case errno.EADDRNOTAVAIL:
            return f"{address} is not an address of this machine"
    if isinstance(error, socket.gaierror):
        return f"{address.host} does not resolve: {error.strerror}"
    return f"{address}: {error.strerror}"
