"""Serving in this process, from the first request to the last.

`registry_server.app` has the one function that a process needs:

    async def start(settings: Settings, sockets: Sequence[socket.socket]) -> Service

It opens the store, makes the access control of `settings.auth`, and serves on the listening
sockets that it is given, through TLS where `tls_context(settings.http.tls)` is not None.  It
returns when the first request would be answered; signals are not its business, but ours.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from socket import socket
from typing import Protocol

import uvloop

from registry_server.listening import close_all, listen
from registry_server.operations.access_log import flush_all
from registry_server.settings import Address, Role, Settings
from registry_server.settings.hub import HubSettings

log = logging.getLogger(__name__)


class Service(Protocol):
    """A server under way, in one process."""

    async def drain(self) -> None:
        """End well: readiness first, then the listening sockets, then what is under way.

        Requests under way get `http.draintimeout` to end; then the store is closed.
        """


def serve_here(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, and drain then; a second signal ends the process at once.

    Raises `ConfigurationInvalid`, `StoreMismatch`, `DriverError`, `CatalogError`.
    """
    sockets = listen(settings.http.addr)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, sockets))
    finally:
        close_all(sockets)


async def _serve(settings: Settings, sockets: Sequence[socket]) -> None:
    from registry_server.app import start

    told_to_end = _end_by_signals()
    starting = asyncio.ensure_future(start(settings, sockets))
    waiting = asyncio.create_task(told_to_end.wait())
    await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        return
    service = starting.result()
    address = Address(settings.http.addr.host, sockets[0].getsockname()[1])
    log.info("%s", banner(settings, address))
    if settings.auth.hub is not None and settings.role.has_hub:
        from registry_server.hub.first_admin import announce_first_admin

        await announce_first_admin(settings, address)
    await waiting
    log.info("ending: requests under way have %g s", settings.http.draintimeout)
    await service.drain()


def _end_by_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets."""
    told_to_end = asyncio.Event()

    def on_signal() -> None:
        if told_to_end.is_set():
            end_at_once(1)
        told_to_end.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return told_to_end


def end_at_once(status: int) -> None:
    """End this process now, whatever is under way; only the log is written out."""
    flush_all()
    os._exit(status)


def banner(settings: Settings, address: Address) -> str:
    """Where the server is, where things are kept, and who may use it, in a line."""
    scheme = "https" if settings.http.tls.certificate else "http"
    where = f"{scheme}://{Address(address.host or '0.0.0.0', address.port)}"
    return f"serving {where}: {_store(settings)}; {_catalog(settings)}; {_login(settings)}"


def _store(settings: Settings) -> str:
    storage = settings.storage
    place = storage.parameters.get("rootdirectory") or storage.parameters.get("bucket")
    return f"store {storage.driver}{f' in {place}' if place else ''}"


def _catalog(settings: Settings) -> str:
    if settings.catalog.url is None:
        return "catalog in SQLite"
    url = settings.catalog.url.get_secret_value()
    scheme, _, rest = url.partition("://")
    return f"catalog {scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def _login(settings: Settings) -> str:
    if settings.auth.htpasswd is not None:
        return f"users of {settings.auth.htpasswd.path}"
    if settings.auth.token is not None:
        return f"tokens from {settings.auth.token.realm}"
    if settings.auth.hub is not None:
        return _hub(settings, settings.auth.hub)
    if settings.http.addr.is_loopback:
        return "open to everyone on this machine; set auth.hub or auth.htpasswd to ask for a login"
    return "OPEN TO EVERYONE WHO CAN REACH IT; set auth.hub or auth.htpasswd to ask for a login"


def _hub(settings: Settings, hub: HubSettings) -> str:
    where = f" at {hub.url}" if hub.url else ""
    match settings.role:
        case Role.ALL:
            return f"accounts of its own hub{where}"
        case Role.HUB:
            return f"the hub{where} alone, without images"
        case Role.REGISTRY:
            return f"accounts of the hub{where}"
