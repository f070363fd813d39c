"""Which clients are sent to the store for a blob, and which are served here.  Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from registry_server.settings.model import RedirectSettings


def is_sent_away(rules: RedirectSettings, agent: str, remote: str) -> bool:
    """Whether a client may be sent to the store.

    `agent` is its `User-Agent`; `remote` the address of whoever opened the connection, empty for a
    Unix socket, which is in no network.
    """
    if rules.disable or any(pattern.search(agent) for pattern in rules.useragents):
        return False
    if not rules.networks or not remote:
        return True
    address = _address(remote)
    return not any(address in network for network in rules.networks)


def _address(remote: str) -> IPv4Address | IPv6Address:
    """The address, without the zone of a local one; IPv4 also where it came through IPv6."""
    address = ip_address(remote.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
