"""What Kodo and the network answer, as this project's errors: one table, one place.

Meanings of the status codes: <https://developer.qiniu.com/kodo/3928/error-responses>.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import requests

from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    Throttled,
)

_KEYS = "check storage.kodo.accesskey and storage.kodo.secretkey"
_CLOCK = "set this machine's clock, which Kodo finds to be wrong"
_REGION = "correct storage.kodo.region, or leave it out to have Qiniu asked"
_BUCKET = (
    "there is no such bucket for these keys in this region: check storage.kodo.bucket and "
    "storage.kodo.region"
)
_LATER = "try again later"
_SLOWER = "too many requests at a time; send fewer"

_BY_STATUS: Final[dict[int, tuple[type[DriverError], str]]] = {
    401: (AccessDenied, _KEYS),
    403: (AccessDenied, "give the key the right to read, write, list and delete in this bucket"),
    404: (DriverError, "check storage.kodo.bucket and the hosts in storage.kodo.endpoints"),
    # What was sent is not what arrived.
    406: (DriverUnavailable, "bytes were damaged on the way; send them again"),
    419: (AccessDenied, "the account is frozen; look at its bill"),
    429: (Throttled, _SLOWER),
    504: (DriverTimeout, _LATER),
    507: (NoSpace, "make room there, or raise the quota"),
    573: (Throttled, _SLOWER),
    612: (BlobNotFound, "there is no such object"),
    631: (DriverError, _BUCKET),
}
_BY_TEXT: Final[tuple[tuple[str, type[DriverError], str], ...]] = (
    ("incorrect region", DriverError, _REGION),
    ("incorrect zone", DriverError, _REGION),
    ("no such bucket", DriverError, _BUCKET),
    ("accesskey is not found", AccessDenied, _KEYS),
    ("too skewed", AccessDenied, _CLOCK),
    # Tokens are made for one request and an hour: one that is too old was made by a wrong clock.
    ("out of date", AccessDenied, _CLOCK),
    ("expired token", AccessDenied, _CLOCK),
)
_SILENT: Final = (DriverTimeout, "it does not answer in time")
_NETWORK: Final[tuple[tuple[type[Exception], type[DriverError], str], ...]] = (
    (
        requests.exceptions.SSLError,
        DriverError,
        "the TLS handshake fails: check storage.kodo.secure and the host's certificate; a private "
        "authority's goes into the file that REQUESTS_CA_BUNDLE names",
    ),
    (requests.exceptions.Timeout, *_SILENT),
    (
        requests.exceptions.ConnectionError,
        DriverUnavailable,
        "it cannot be reached: check the network, storage.kodo.region and the hosts configured",
    ),
    (requests.exceptions.ChunkedEncodingError, DriverUnavailable, "the answer broke off"),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no success."""

    status: int
    text: str
    """What Kodo says of it."""
    host: str


def refused(refusal: Refusal, what: str) -> DriverError:
    """The error for an answer; `what` is the key or the bucket that was worked on."""
    kind, advice = _meaning(refusal)
    said = f"{refusal.status}, {refusal.text}" if refusal.text else str(refusal.status)
    return kind(f"{refusal.host} refuses {what} ({said}): {advice}", location=what)


def unreachable(error: Exception, host: str, what: str) -> DriverError:
    """The error where there was no answer, or not all of one."""
    kind, advice = _network_meaning(error)
    return kind(f"{host}: {advice} ({_reason(error)})", location=what)


@contextmanager
def reading(host: str, what: str) -> Iterator[None]:
    """Raise what the network raises inside as an error of this project."""
    try:
        yield
    except requests.exceptions.RequestException as error:
        raise unreachable(error, host, what) from error


def _meaning(refusal: Refusal) -> tuple[type[DriverError], str]:
    for words, kind, advice in _BY_TEXT:
        if words in refusal.text:
            return kind, advice
    if refusal.status in _BY_STATUS:
        return _BY_STATUS[refusal.status]
    if refusal.status // 100 == 5:
        return DriverUnavailable, _LATER
    return DriverError, "this is a fault of the driver or of the host; please report it"


def _network_meaning(error: Exception) -> tuple[type[DriverError], str]:
    if "Read timed out" in str(error):  # in mid-answer, requests calls it a lost connection
        return _SILENT
    for network, kind, advice in _NETWORK:
        if isinstance(error, network):
            return kind, advice
    return DriverError, "the request fails"


def _reason(error: Exception) -> str:
    """The innermost cause, which is what a person can act on."""
    inner: BaseException = error
    while inner.args and isinstance(inner.args[-1], BaseException):
        inner = inner.args[-1]
    reason = getattr(inner, "reason", None)
    return _reason(reason) if isinstance(reason, Exception) else str(inner)
