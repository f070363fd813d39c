"""A request as the handlers see it: the head, and a body that arrives while it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import HttpVersion10
from aiohttp.streams import EMPTY_PAYLOAD

from registry_server.api.errors import Problem
from registry_server.proxies import is_host

if TYPE_CHECKING:
    import asyncio

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader
    from multidict import CIMultiDictProxy

    from registry_server.connections import Connection
    from registry_server.proxies import Origin

MAX_PARAMETERS = 100


class Request:
    """One request.  Much lighter than aiohttp's own, whose protocol needs only what is below."""

    __slots__ = (
        "_task",
        "awaits_invitation",
        "connection",
        "content",
        "headers",
        "keep_alive",
        "message",
        "method",
        "origin",
        "target",
        "writer",
    )

    def __init__(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: Connection,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> None:
        self.message = message
        self.method: str = message.method
        self.target: str = message.path
        """Path and query as they were sent (the absolute form's too: see `origin_form`)."""
        self.headers: CIMultiDictProxy[str] = message.headers
        self.keep_alive: bool = not message.should_close
        self.content = payload
        self.connection = protocol
        self.origin: Origin | None = None
        """Where it began, where it came through a trusted proxy."""
        if protocol.proxies is not None:
            self.origin = protocol.proxies.origin(message.headers, protocol.remote)
        self.writer = writer
        self.awaits_invitation = payload is not EMPTY_PAYLOAD and "Expect" in message.headers
        """The client holds the body back until it is told to send it."""
        self._task = task

    @property
    def remote(self) -> str:
        """The address of the client, as far as known; empty for a Unix socket."""
        return self.connection.remote if self.origin is None else self.origin.remote

    @property
    def authority(self) -> str:
        """`https://host:port`, as the client reached the registry; empty where it named no host."""
        scheme, host = "http" if self.connection.is_plain else "https", ""
        if self.origin is not None:
            scheme, host = self.origin.scheme or scheme, self.origin.host
        host = host or self.headers.get("Host", "")
        return f"{scheme}://{host}" if is_host(host) else ""

    # What aiohttp's protocol asks of a request.

    def _finish(self) -> None:
        """Nothing to free."""

    def _cancel(self, error: BaseException) -> None:
        self.content.set_exception(error)


def origin_form(message: RawRequestMessage) -> str:
    """Path and query of a target, also of one that came with a host, which does not count."""
    if message.path.startswith("/"):
        return message.path
    return message.url.raw_path_qs


def is_odd(message: RawRequestMessage) -> bool:
    """Whether it is no request that a registry has an answer to: a tunnel, HTTP/0.9."""
    return message.method == "CONNECT" or message.version < HttpVersion10


def parse_query(query: str) -> dict[str, list[str]]:
    """The parameters of a query, decoded; each may be given several times."""
    parameters: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise Problem(400, "UNSUPPORTED", f"more than {MAX_PARAMETERS} parameters") from None
    for name, value in pairs:
        parameters.setdefault(name, []).append(value)
    return parameters


def single(parameters: dict[str, list[str]], name: str) -> str | None:
    """The value of a parameter that may be given once, or None."""
    values = parameters.get(name, [])
    if len(values) > 1:
        raise Problem(400, "UNSUPPORTED", f"parameter {name!r} is given {len(values)} times")
    return values[0] if values else None
