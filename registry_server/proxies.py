"""Who asks, where proxies stand between: `X-Forwarded-For` and its kin, and `Forwarded` (RFC 7239).

Anybody can send these headers, so they count only on a connection that a trusted proxy opened.
Each proxy adds, at the end of the list, whom it was asked by.  Read from its end, the first address
that is no trusted proxy's is the client; what stands before it, the client may have made up.

A proxy that keeps one of the two lists passes on what a client wrote into the other.  So where they
name different clients, neither counts, and the proxy itself is taken for the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Final

from registry_server.crowd import address_of

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

    Headers = CIMultiDictProxy[str]

MAX_HOPS: Final = 32
_SCHEMES: Final = ("http", "https")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PAIR: Final = re.compile(
    r"[ \t]*(?:(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    r'(?P<value>"(?:[^"\\]|\\.)*"|[^\s",;\\]+)[ \t]*)?(?P<end>[;,]|\Z)'
)
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request began.  What is empty was not told."""

    remote: str
    """The client's address."""
    scheme: str = ""
    """`http` or `https`: what it spoke with the proxy that it knows."""
    host: str = ""
    """By what name it knows that proxy, with the port, if any."""


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy tells about whom it was asked by; as it was sent."""

    node: str = ""
    scheme: str = ""
    host: str = ""


_UNREADABLE: Final = _Hop()


class TrustedProxies:
    """The networks whose word counts."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = networks

    def include(self, remote: str) -> bool:
        """Whether a proxy of ours has that address; a Unix socket's, the empty one, none has."""
        if not remote or not self._networks:
            return False
        address = address_of(remote)
        return any(address in network for network in self._networks)

    def origin(self, headers: Headers, proxy: str) -> Origin:
        """Where a request began that came from `proxy`, which is one of ours."""
        lists = (_x_forwarded(headers), _forwarded(headers))
        told = [self._follow(hops, proxy) for hops in lists if hops]
        if not told or any(other.remote != told[0].remote for other in told):
            return Origin(proxy)
        return told[0]

    def _follow(self, hops: Iterable[_Hop], proxy: str) -> Origin:
        """Go from proxy to proxy, outwards, as long as they are ours."""
        found = Origin(proxy)
        for hop in hops:
            address = _address(hop.node)
            found = Origin(
                address or found.remote,
                hop.scheme.lower() if hop.scheme.lower() in _SCHEMES else found.scheme,
                hop.host if is_host(hop.host) else found.host,
            )
            if not self.include(address):
                break
        return found


def is_host(text: str) -> bool:
    """Whether that is a host, with or without a port, which may stand in a URL."""
    return _HOST.fullmatch(text) is not None


def _address(node: str) -> str:
    """The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; else ''."""
    if node.startswith("["):
        node = node[1:].partition("]")[0]
    elif node.count(":") == 1:
        node = node.partition(":")[0]
    try:
        return str(address_of(node))
    except ValueError:
        return ""


def _x_forwarded(headers: Headers) -> list[_Hop]:
    """What `X-Forwarded-*` tells, the nearest proxy's word first.

    A list of schemes or hosts may be shorter than that of addresses: then the first was told to all
    that came later.
    """
    nodes, schemes, hosts = (_list(headers, f"X-Forwarded-{of}") for of in ("For", "Proto", "Host"))
    if not nodes and (schemes or hosts):
        nodes = [""]
    return [
        _Hop(node, _at(schemes, index), _at(hosts, index))
        for index, node in enumerate(nodes[:MAX_HOPS])
    ]


def _list(headers: Headers, name: str) -> list[str]:
    """The items of a list, from its end."""
    joined = ",".join(headers.getall(name, ()))
    return [item.strip() for item in reversed(joined.split(","))] if joined else []


def _at(items: Sequence[str], index: int) -> str:
    return items[min(index, len(items) - 1)] if items else ""


def _forwarded(headers: Headers) -> list[_Hop]:
    """What `Forwarded` tells, the nearest proxy's word first."""
    text = ",".join(headers.getall("Forwarded", ()))
    if not text:
        return []
    elements = _elements(text)
    if elements is None:
        return [_UNREADABLE]
    return [
        _Hop(element.get("for", ""), element.get("proto", ""), element.get("host", ""))
        for element in elements[: -MAX_HOPS - 1 : -1]
    ]


def _elements(text: str) -> list[dict[str, str]] | None:
    """The elements of a `Forwarded` header; None where it keeps not to its grammar."""
    elements: list[dict[str, str]] = [{}]
    at, end = 0, ","
    while end:
        pair = _PAIR.match(text, at)
        if pair is None:
            return None
        name, value, end = pair.groups()
        if name:
            elements[-1][name.lower()] = _unquoted(value)
        if end == ",":
            elements.append({})
        at = pair.end()
    return [element for element in elements if element]


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
