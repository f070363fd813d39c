"""The seam between the processes that serve and the application that they run.

`registry_server.app` has the one function that a process needs:

    async def start(settings: Settings, sockets: Sequence[socket.socket]) -> Service

It opens the store, makes the access control of `settings.auth`, and serves on the listening
sockets that it is given, through TLS where `tls_context(settings)` is not None.  It returns when
the first request would be answered; signals are not its business.
"""

from __future__ import annotations

from typing import Protocol


class Service(Protocol):
    """A server under way, in one process."""

    async def drain(self) -> None:
        """End well: readiness first, then the listening sockets, then what is under way.

        Requests under way get `http.draintimeout` to end; then the store is closed.
        """
