"""Which clients are sent to the store for a blob, and which are served here.  Pure."""

from __future__ import annotations

from registry_server.crowd import address_of
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
    address = address_of(remote)
    return not any(address in network for network in rules.networks)
