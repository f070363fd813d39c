"""The first administrator: a link that is printed where the server is started, and nowhere else.

There is no password to begin with, so there is none that anybody could forget to change.
"""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

from registry_server.hub.accounts import open_by_operator
from registry_server.hub.accounts.links import LIFETIME_SECONDS, PATH
from registry_server.hub.records.links import Purpose
from registry_server.settings import Address, Settings


async def announce_first_admin(settings: Settings, address: Address) -> None:
    """Print the link on standard error, as long as nobody administers the hub.

    Each start prints a new one; all are void once one of them was used.  Raises `CatalogError`,
    `CatalogUnavailable`, `NoSpace`.
    """
    async with AsyncExitStack() as resources:
        accounts = await open_by_operator(settings, resources)
        secret = await accounts.links.first_admin()
    if secret is not None:
        print(_told(link_url(settings, secret, address)), file=sys.stderr, flush=True)


def link_url(settings: Settings, secret: str, address: Address | None = None) -> str:
    """Where a link leads, by the hub's public URL or the address that it listens on."""
    hub = settings.auth.hub
    assert hub is not None
    if hub.url is not None:
        return f"{hub.url}{PATH}{secret}"
    listening = address or settings.http.addr
    scheme = "https" if settings.http.tls.certificate else "http"
    host = Address(listening.host or "localhost", listening.port)
    return f"{scheme}://{host}{PATH}{secret}"


def _told(url: str) -> str:
    hours = round(LIFETIME_SECONDS[Purpose.FIRST_ADMIN] / 3600)
    return (
        "\nNobody administers the hub yet. Make the first administrator's account here; the link\n"
        f"works once, for {hours} hours, and every start prints another until then:\n\n    {url}\n"
    )
