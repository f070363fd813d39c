"""The kinds of values that settings are made of: durations, addresses, secrets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, PlainValidator, SecretStr, WithJsonSchema

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TERM = r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)"
_DURATION = re.compile(rf"(?:{_TERM})+")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})")
_HOST_NAME = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?)*")


class Secret(SecretStr):
    """Text that is never shown: its `repr` and `str` are `***`."""

    def _display(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.  An empty host is every interface."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_duration(value: Any) -> float:
    """Seconds from a Go duration (`168h`, `1m30s`, `250ms`) or from a plain number of seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    text = str(value).strip()
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return float(text)
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(_TERM, text))
    raise ValueError(f"{text!r} is not a duration; write 30s, 5m, 168h or 1h30m")


def parse_address(value: Any) -> Address:
    """`:5000`, `127.0.0.1:5000`, `[::1]:5000` or `localhost:5000`."""
    if isinstance(value, Address):
        return value
    match = _ADDRESS.fullmatch(str(value))
    if match is None or int(match["port"]) > 65535:
        raise ValueError(
            f"{str(value)!r} is not an address; write :5000, 127.0.0.1:5000 or [::1]:5000"
        )
    return Address(_host(match["v6"], match["host"]), int(match["port"]))


def _host(v6: str | None, host: str | None) -> str:
    if v6 is not None:
        try:
            return str(ipaddress.IPv6Address(v6))
        except ValueError:
            raise ValueError(f"{v6!r} is not an IPv6 address") from None
    if host and not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{host!r} is not a host name")
    return host or ""


def parse_public_url(value: Any) -> str:
    """The URL that clients know the registry by: scheme, host and, if any, port."""
    parts = urlsplit(str(value))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError(f"{str(value)!r} is not a public URL; write https://registry.example.org")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{str(value)!r} has a path; the registry is always at the top")
    return f"{parts.scheme}://{parts.netloc}"


def parse_realm(value: Any) -> str:
    """The absolute URL that clients get tokens at; it goes into a header as it is."""
    parts = urlsplit(str(value))
    is_plain = (
        str(value).isascii() and str(value).isprintable() and not set(str(value)) & set(' "\\')
    )
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise ValueError(f"{str(value)!r} is not a URL; write https://auth.example.org/token")
    return str(value)


def parse_key_source(value: Any) -> Path | str:
    """A URL with `http://` or `https://`, else a path."""
    text = str(value)
    if not text.startswith(("http://", "https://")):
        return parse_path(value)
    parts = urlsplit(text)
    if not parts.hostname or parts.username is not None:
        raise ValueError(f"{text!r} is not a URL of keys; write https://auth.example.org/jwks.json")
    return text


def parse_path(value: Any) -> Path:
    """A path; `~` at its beginning is the home directory."""
    text = str(value)
    if not text or "\0" in text:
        raise ValueError("a path is needed")
    return Path(text).expanduser()


def _schema(description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": description})


Duration = Annotated[float, BeforeValidator(parse_duration), _schema("duration")]
"""In seconds."""

ListenAddress = Annotated[Address, PlainValidator(parse_address), _schema("address")]
PublicURL = Annotated[str, BeforeValidator(parse_public_url), _schema("URL")]
Realm = Annotated[str, BeforeValidator(parse_realm), _schema("URL")]
KeySource = Annotated[Path | str, PlainValidator(parse_key_source), _schema("path or URL")]
FilePath = Annotated[Path, BeforeValidator(parse_path), _schema("path")]
