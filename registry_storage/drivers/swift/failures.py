"""Turns what Swift, Keystone and the network say into this project's errors: one place."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import requests
import urllib3
from keystoneauth1 import exceptions as keystone
from swiftclient.exceptions import ClientException  # type: ignore[import-untyped]

from registry_storage.errors import (
    AccessDenied,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    Throttled,
)

FAILURES: Final = (
    ClientException,
    keystone.ClientException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    EOFError,
    json.JSONDecodeError,
    zlib.error,
)
"""All that the SDKs raise; the last three where an answer is not what it says it is."""

_SECTION: Final = "storage.swift"
_REFUSED_PARTS: Final = re.compile(rb", (?P<status>\d{3}) ")

_BY_STATUS: Final[dict[int, tuple[type[DriverError], str]]] = {
    401: (AccessDenied, "give the user the right to read and write there"),
    403: (AccessDenied, "give the user the right to read and write there"),
    404: (DriverError, f"the container is gone: restore it, or look at {_SECTION}.container"),
    408: (DriverTimeout, "try again"),
    409: (DriverUnavailable, "another change was under way, or a segment is missing: try again"),
    413: (NoSpace, "a quota is used up, or the object too large: raise the quota"),
    422: (DriverUnavailable, "the bytes were damaged on their way: try again"),
    429: (Throttled, "try again later"),
    498: (Throttled, "try again later"),
    499: (DriverTimeout, "try again"),
    507: (NoSpace, "free some space there"),
}


class Translator:
    """Knows whom it speaks of, so that a message names the address that did not answer."""

    def __init__(self, authurl: str, user: str) -> None:
        self._authurl = authurl
        self._user = user
        self.store = authurl

    @contextmanager
    def translating(self, what: str) -> Iterator[None]:
        """Raise what the SDKs raise inside as an error of this project; `what` was worked on."""
        try:
            yield
        except FAILURES as error:
            raise self.translated(error, what) from error

    def translated(self, error: Exception, what: str) -> DriverError:
        """The error of this project for one of `FAILURES`."""
        if isinstance(error, ClientException):
            return self._answered(error, what)
        if isinstance(error, keystone.ClientException):
            return self._of_login(error)
        return self._of_network(error, self.store, what)

    def _answered(self, error: ClientException, what: str) -> DriverError:
        status = error.http_status or 0
        said = _said(error)
        kind, advice = _BY_STATUS.get(status) or _by_hundreds(status, said)
        return kind(f"{self.store} refuses {what} ({status} {said}): {advice}", location=what)

    def _of_login(self, error: keystone.ClientException) -> DriverError:
        if isinstance(error, keystone.ConnectionError):
            return self._of_network(error, self._authurl, "log-in")
        status = _status_of_login(error)
        if status in (401, 403):
            return AccessDenied(
                f"{self._authurl} refuses to log {self._user} in ({status}): look at username, "
                f"password, tenant and domain in {_SECTION}"
            )
        if status == 429:
            return Throttled(f"{self._authurl} is asked too often ({status}): try again later")
        if status >= 500:
            return DriverUnavailable(f"{self._authurl} fails ({status}): try again")
        return DriverError(
            f"{self._authurl} does not log {self._user} in ({_one_line(error)}): look at "
            f"{_SECTION}.authurl, and whether authversion is what it speaks"
        )

    def _of_network(self, error: Exception, address: str, what: str) -> DriverError:
        reason = _one_line(_innermost(error))
        if _is_of_tls(error) and "EOF occurred" not in reason:
            return DriverError(
                f"no secure connection to {address} ({reason}): let REQUESTS_CA_BUNDLE name a file "
                f"with its certificate authority; does the host in {_SECTION}.authurl speak TLS?"
            )
        if isinstance(error, _TIMEOUTS):
            return DriverTimeout(
                f"{address} does not answer in time ({what}): look at the network, "
                f"{_SECTION}.authurl and {_SECTION}.timeout"
            )
        return DriverUnavailable(
            f"{address} cannot be reached, or hung up ({what}; {reason}): is it up, and is "
            f"{_SECTION}.authurl right?"
        )


_TIMEOUTS: Final = (
    TimeoutError,
    keystone.ConnectTimeout,
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
)


def is_status(error: Exception, *statuses: int) -> bool:
    """Whether Swift has answered with one of these."""
    return isinstance(error, ClientException) and error.http_status in statuses


def parts_are_gone(error: ClientException) -> bool:
    """Whether a manifest was refused because of its segments, and not just for the time being.

    Swift answers 400 with a line for each segment, `/container/name, 404 Not Found`; the RADOS
    gateway 404 for a segment that is missing, and 400 for one of another size.
    """
    if error.http_status not in (400, 404, 409):
        return False
    found = _REFUSED_PARTS.findall(_body(error))
    return all(int(status) < 500 and int(status) not in (408, 429, 498) for status in found)


def _by_hundreds(status: int, said: str) -> tuple[type[DriverError], str]:
    if "slow" in said.lower() and status == 503:
        return Throttled, "try again later"
    if status >= 500 or status == 0:
        return DriverUnavailable, "try again"
    return DriverError, "this should not happen, please report it"


def _status_of_login(error: keystone.ClientException) -> int:
    """Zero where nobody has answered."""
    answer = getattr(error, "response", None)
    status = getattr(error, "http_status", None) or getattr(answer, "status_code", 0)
    return int(status or 0)


def _is_of_tls(error: Exception) -> bool:
    return isinstance(
        error, keystone.SSLError | requests.exceptions.SSLError | urllib3.exceptions.SSLError
    )


def _innermost(error: BaseException) -> BaseException:
    """What it began with: wrappers of wrappers say the same at greater length."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _said(error: ClientException) -> str:
    """The answer's reason, and what its body adds in plain text."""
    body = _body(error).decode(errors="replace")
    text = re.sub(r"<[^>]*>", " ", body)
    return _one_line(f"{error.http_reason or ''} {text}")


def _body(error: ClientException) -> bytes:
    body = error.http_response_content or b""
    return body if isinstance(body, bytes) else str(body).encode()


def _one_line(what: object) -> str:
    return " ".join(str(what).split())[:200]
