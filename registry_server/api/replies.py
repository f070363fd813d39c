"""Answers, and how they look on the wire.

Every answer of the distribution API has a known length, so each is one block of header bytes, often
with its body behind it in the same write, or a `Content` that sends itself.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from registry_server.api.outlet import Outlet

Header = tuple[str, str]
Send = Callable[[bytes], Awaitable[None]]
"""Sends header bytes and the content behind them.  Raises `ConnectionError` if the client left."""

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
# Manifests and blobs are whatever somebody pushed; no browser is to run them in our name.
_COMMON: Final = (
    "Docker-Distribution-API-Version: registry/2.0\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: sandbox; default-src 'none'\r\n"
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+=/-]{1,128}")
_WITHOUT_LENGTH: Final = (204, 304)


class Content(Protocol):
    """A body that is not in memory."""

    @property
    def size(self) -> int:
        """In bytes."""

    def opened(self, outlet: Outlet) -> AbstractAsyncContextManager[Send]:
        """Make ready to send; what is not there after all raises on entering."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.  Length, date and what every answer carries are added on the wire."""

    status: int
    headers: tuple[Header, ...] = ()
    body: bytes | Content = b""
    close: bool = False
    """The connection can carry no further request."""

    @property
    def size(self) -> int:
        """Of the body that a GET sends, in bytes."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.size


def head_bytes(
    reply: Reply, request_id: str, connection_option: str = "", more: Sequence[Header] = ()
) -> bytes:
    """Status line and header fields.  `connection_option` is the value of `Connection`, if any.

    Raises `ValueError` rather than let a value begin a line of its own.
    """
    own = [f"{name}: {value}\r\n" for name, value in (*reply.headers, *more)]
    if reply.status not in _WITHOUT_LENGTH:
        own.append(f"Content-Length: {reply.size}\r\n")
    if connection_option:
        own.append(f"Connection: {connection_option}\r\n")
    fields = "".join(own)
    if fields.count("\n") != len(own) or fields.count("\r") != len(own) or "\0" in fields:
        raise ValueError(f"a header value holds a line break: {fields!r}")
    return (
        f"HTTP/1.1 {reply.status} {_PHRASES[reply.status]}\r\n{_COMMON}"
        f"X-Request-Id: {request_id}\r\nDate: {_clock.now()}\r\n{fields}\r\n"
    ).encode("latin-1", "replace")


def warning(text: str) -> Header:
    """A note for people that clients show (OCI Distribution Spec 1.1, "Warnings")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return ("Warning", f'299 - "{escaped}"')


class _Clock:
    """The date as HTTP writes it, formatted once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True)
        return self._text


class _RequestIds:
    """Ids that no other process gives out: a random prefix of this one's, and a number."""

    def __init__(self) -> None:
        self._process = 0
        self._prefix = ""
        self._numbers = count(1)

    def new(self) -> str:
        if self._process != os.getpid():
            self._process = os.getpid()
            self._prefix = os.urandom(8).hex()
        return f"{self._prefix}-{next(self._numbers):x}"


_clock = _Clock()
_request_ids = _RequestIds()


def request_id(given: str | None) -> str:
    """The client's `X-Request-Id` where it is short and plain, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return _request_ids.new()
