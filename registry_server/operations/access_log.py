"""A line for each request, written in batches: writing each by itself would cost more than a pull.

Lines are collected and written together, 100 ms after the first of them or when there are 64 KiB,
and when the process ends, by a signal or by itself.  What clients send again and again, their name
and what they ask for, is made safe for the log once and remembered.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Final, NamedTuple
from weakref import WeakSet

from registry_server.operations.logging import Redaction, plain
from registry_server.settings.model import LogSettings

FLUSH_SECONDS: Final = 0.1
FLUSH_BYTES: Final = 64 * 1024
_MAX_TARGET: Final = 1024
_MAX_AGENT: Final = 200
_REMEMBERED: Final = 2048
"""Texts, each cut to its limit before it is remembered."""

_redact = Redaction()
_open_logs: WeakSet[AccessLog] = WeakSet()


def flush_all() -> None:
    """Write what every log of this process has collected: the process ends at once."""
    for log in _open_logs:
        log.flush()


class Access(NamedTuple):
    """One request and its answer, as the log tells of them.

    A tuple, for there is one to each request and a frozen dataclass takes four times as long.
    """

    client: str
    """The address that it came from."""
    user: str
    """Empty: nobody in particular."""
    method: str
    target: str
    """As sent: path and query."""
    status: int
    size: int
    """Of the answer's body, in bytes."""
    seconds: float
    request_id: str
    agent: str = ""
    """The client's `User-Agent`."""


class AccessLog:
    """Lines on their way to `descriptor`.  Belongs to one process and its event loop.

    Make it after a fork: what another process has not written yet is not ours to write.
    """

    def __init__(self, settings: LogSettings, descriptor: int | None = None) -> None:
        self._descriptor = sys.stderr.fileno() if descriptor is None else descriptor
        self._line = _as_json(settings.fields) if settings.formatter == "json" else _as_text
        self._lines: list[str] = []
        self._length = 0
        self._timer: asyncio.TimerHandle | None = None
        self._clock = _Clock()
        _open_logs.add(self)

    def record(self, access: Access) -> None:
        """Note a request.  Call it on the event loop; the line is written later."""
        line = self._line(self._clock.now(), access)
        self._lines.append(line)
        self._length += len(line)
        if self._length >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what was collected.  Also right in a signal handler, and twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines, self._length = self._lines, [], 0
        _write_all(self._descriptor, "".join(lines).encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Write the rest, and write no more."""
        self.flush()
        _open_logs.discard(self)


def _write_all(descriptor: int, data: bytes) -> None:
    """Write, or give up: a log that nobody reads any more must not stop the server."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        return


class _Clock:
    """RFC 3339 with milliseconds; the part down to the second is formatted once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def now(self) -> str:
        moment = time.time()
        second = int(moment)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{int((moment - second) * 1000):03}Z"


def _as_text(now: str, access: Access) -> str:
    a = access
    return (
        f"{now} ACCESS {a.client or '-'} {_word(a.user)} "
        f'"{_quotable(a.method, 32)} {_quotable(a.target, _MAX_TARGET)}" {a.status} {a.size} '
        f'{a.seconds * 1000:.1f}ms "{_quotable(a.agent, _MAX_AGENT)}" {a.request_id}\n'
    )


def _word(text: str) -> str:
    return _quotable(text, 128).replace(" ", "\\x20") or "-"


def _quotable(text: str, limit: int) -> str:
    return _remembered_quotable(text[: limit + 1], limit)


@lru_cache(_REMEMBERED)
def _remembered_quotable(text: str, limit: int) -> str:
    return _safe(text, limit).replace('"', "\\x22")


def _in_json(text: str, limit: int) -> str:
    return _remembered_in_json(text[: limit + 1], limit)


@lru_cache(_REMEMBERED)
def _remembered_in_json(text: str, limit: int) -> str:
    return encode_basestring(_safe(text, limit))


def _safe(text: str, limit: int) -> str:
    """Cut, escaped, and without the password of a URL."""
    text = plain(text, limit)
    return _redact(text) if "://" in text else text


def _as_json(fields: Mapping[str, str]) -> Callable[[str, Access], str]:
    more = "".join(
        f",{encode_basestring(name)}:{encode_basestring(value)}" for name, value in fields.items()
    )
    quote = encode_basestring

    def line(now: str, access: Access) -> str:
        a = access
        return (
            f'{{"time":"{now}","level":"info","logger":"access","client":{quote(a.client)}'
            f',"user":{_in_json(a.user, 128)},"method":{_in_json(a.method, 32)}'
            f',"target":{_in_json(a.target, _MAX_TARGET)},"status":{a.status},"size":{a.size}'
            f',"ms":{a.seconds * 1000:.1f},"agent":{_in_json(a.agent, _MAX_AGENT)}'
            f',"request_id":{quote(a.request_id)}{more}}}\n'
        )

    return line


atexit.register(flush_all)
