"""The log: text for people or JSON for machines, on standard error, one event a line.

What comes from outside can neither begin a line of its own nor colour a terminal: control
characters are escaped and long values are cut.  Secrets that the settings name, and anything that
looks like credentials, are replaced by `***`, wherever in a message they turn up.

    from registry_server.operations import logging as server_logging

    server_logging.configure(settings)
    log.warning("upload given up", extra={"request_id": request_id, "repository": name})
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

from registry_server.settings.drivers import secret_parameters
from registry_server.settings.model import Settings

MAX_VALUE = 2048
"""Characters of one value; more is cut."""

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_TALKATIVE = ("alembic", "asyncio")
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
_CREDENTIALS = re.compile(
    r"(?P<header>\b(?:Basic|Bearer)\s+)[\w.~+/=-]+"
    r"|(?P<url>://[^\s/:@]*:)[^\s/@]+(?=@)"
    r"|(?P<key>\b(?:password|passwd|secret)\s*[=:]\s*)[^\s,;]+",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 4
"""Replacing shorter ones would garble messages and give the secret away by the gaps."""


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every logger of this process to `stream` (None: standard error), as `log` says."""
    handler = logging.StreamHandler(stream or sys.stderr)
    redact = Redaction(secrets_of(settings))
    kind = JsonFormatter if settings.log.formatter == "json" else TextFormatter
    handler.setFormatter(kind(settings.log.fields, redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[settings.log.level])
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


class Redaction:
    """Replaces secrets in a text: those that are known, and what looks like one."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        texts = {text for text in known if len(text) >= _SHORTEST_SECRET}
        longest_first = sorted(texts, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        return _CREDENTIALS.sub(_starred, self._known.sub("***", text))


def _starred(match: re.Match[str]) -> str:
    return f"{match[match.lastgroup or 0]}***"


def secrets_of(settings: Settings) -> set[str]:
    """Every secret in the settings, and the password inside the catalog's URL by itself."""
    found = {*_secrets_in(settings), *secret_parameters(settings.storage.parameters)}
    passwords = (re.search(r"://[^/:@]*:([^@]+)@", text) for text in found)
    encoded = {match[1] for match in passwords if match}
    return found | encoded | {unquote(password) for password in encoded}


def _secrets_in(model: BaseModel) -> Iterable[str]:
    for _, value in model:
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, BaseModel):
            yield from _secrets_in(value)


def plain(text: str, limit: int = MAX_VALUE) -> str:
    """`text` on one line, without control characters, cut to `limit`."""
    if len(text) > limit:
        text = f"{text[:limit]}…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class _Formatter(logging.Formatter):
    def __init__(self, fields: Mapping[str, str], redact: Redaction) -> None:
        super().__init__()
        self._fields = dict(fields)
        self._redact = redact

    def _extras(self, record: logging.LogRecord) -> dict[str, Any]:
        own = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        return {**self._fields, **own}

    def _message(self, record: logging.LogRecord) -> str:
        return self._redact(plain(record.getMessage(), 4 * MAX_VALUE))

    def _trace(self, record: logging.LogRecord) -> list[str]:
        if not record.exc_info:
            return []
        text = self._redact(self.formatException(record.exc_info))
        return [plain(line) for line in text.splitlines()]


class TextFormatter(_Formatter):
    """`2026-11-25T09:30:00.123Z WARNING registry_server.app: what happened  key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(
            f"  {plain(name)}={self._redact(plain(str(value)))}"
            for name, value in self._extras(record).items()
        )
        head = f"{timestamp(record.created)} {record.levelname} {record.name}: "
        trace = "".join(f"\n    {line}" for line in self._trace(record))
        return f"{head}{self._message(record)}{extras}{trace}"


class JsonFormatter(_Formatter):
    """One object a line: `time`, `level`, `logger`, `message`, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._message(record),
        }
        for name, value in self._extras(record).items():
            number = isinstance(value, int | float)
            event.setdefault(name, value if number else self._redact(plain(str(value))))
        if trace := self._trace(record):
            event["trace"] = "\n".join(trace)
        return json.dumps(event, ensure_ascii=False)


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
