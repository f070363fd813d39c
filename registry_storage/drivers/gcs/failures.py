"""Turns what the SDK raises into this project's errors: one function, one place.

Four layers can fail: the service answers with a status, the connection breaks under `requests` or,
while a body is read, under `urllib3`, and `google.auth` gets no token.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import requests
from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.auth.exceptions import TimeoutError as TokenTimeout
from google.cloud.storage.exceptions import DataCorruption  # type: ignore[import-untyped]
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.exceptions import SSLError as RawSSLError

from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    Throttled,
)


class KeyTaken(DriverError):
    """Something is stored under a key that was to be new.  Does not leave the driver."""


_SDK_ERRORS: Final = (
    GoogleAPICallError,
    GoogleAuthError,
    DataCorruption,
    requests.RequestException,
    HTTPError,
)
_TIMEOUTS: Final = (requests.Timeout, ReadTimeoutError, TokenTimeout)
_TLS_FAILURES: Final = (requests.exceptions.SSLError, RawSSLError)

_BUCKET_IS_MISSING: Final = "The specified bucket does not exist"
_LIMITS: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})
"""Reasons with which 403 means 429."""

_NO_BUCKET = "there is no bucket {bucket}: create it, or correct storage.gcs.bucket"
_DENIED = (
    "bucket {bucket} refuses the operation on {what} ({reason}): give the service account the role "
    "roles/storage.objectUser on the bucket"
)
_UNKNOWN = (
    "Google does not accept the credentials ({reason}): set storage.gcs.keyfile to a valid key "
    "of a service account"
)
_SKEWED = (
    "Google does not accept the credentials ({reason}): set this machine's clock, or run NTP there"
)
_SLOW_DOWN = "bucket {bucket} asks for fewer requests ({reason}): lower storage.gcs.maxconcurrency"
_FULL = "bucket {bucket} is full ({reason}): free some space there, then try again"
_SILENT = "the service of bucket {bucket} does not answer in time ({reason})"
_BROKEN = "the service of bucket {bucket} failed on {what} ({reason}): try again"
_UNREACHABLE = (
    "cannot reach the service of bucket {bucket} ({reason}): look at the network, the proxy, and "
    "STORAGE_EMULATOR_HOST"
)
_TLS = (
    "no trusted connection to the service of bucket {bucket} ({reason}): install the authority of "
    "its certificate, and name it in REQUESTS_CA_BUNDLE"
)
_OTHER = "{what} in bucket {bucket}: {reason}"

_STATUSES: Final[dict[int, tuple[type[DriverError], str]]] = {
    401: (AccessDenied, _UNKNOWN),
    403: (AccessDenied, _DENIED),
    404: (DriverError, _NO_BUCKET),
    408: (DriverTimeout, _SILENT),
    412: (KeyTaken, "{what} is there already"),
    429: (Throttled, _SLOW_DOWN),
    500: (DriverUnavailable, _BROKEN),
    502: (DriverUnavailable, _BROKEN),
    503: (DriverUnavailable, _BROKEN),
    504: (DriverTimeout, _SILENT),
    507: (NoSpace, _FULL),
}


@contextmanager
def translating(bucket: str, what: str) -> Iterator[None]:
    """Raise every error of the SDK from inside as one of this project's.

    `what` is what the request is about.  That something is missing can only mean the bucket.
    """
    try:
        yield
    except _SDK_ERRORS as error:
        kind, message = _classified(error)
        said = message.format(bucket=bucket, what=what, reason=_reason(error))
        raise kind(said, location=what) from error


@contextmanager
def object_at(bucket: str, key: str) -> Iterator[None]:
    """As `translating`, for an object that should be there: a missing one is `BlobNotFound`."""
    try:
        with translating(bucket, key):
            yield
    except DriverError as error:
        cause = error.__cause__
        if isinstance(cause, NotFound) and _BUCKET_IS_MISSING not in _reason(cause):
            raise BlobNotFound(f"nothing is stored at {key}", location=key) from None
        raise


def _classified(error: BaseException) -> tuple[type[DriverError], str]:
    if isinstance(error, GoogleAPICallError):
        return _answered(error)
    if isinstance(error, _TIMEOUTS):
        return DriverTimeout, _SILENT
    if isinstance(error, _TLS_FAILURES) or _mentions_certificate(error):
        return DriverError, _TLS
    if isinstance(error, GoogleAuthError):
        return _no_token(error)
    if isinstance(error, DataCorruption):
        return DriverUnavailable, _BROKEN
    return DriverUnavailable, _UNREACHABLE


def _answered(error: GoogleAPICallError) -> tuple[type[DriverError], str]:
    status = int(error.code or 0)
    details = _body(error).get("errors", ())
    if status == 403 and any(found.get("reason") in _LIMITS for found in details):
        return Throttled, _SLOW_DOWN
    return _STATUSES.get(status, (DriverError, _OTHER))


def _no_token(error: GoogleAuthError) -> tuple[type[DriverError], str]:
    """Why there is no access token: the way to Google, Google itself, our key, or our clock."""
    cause = error.__cause__ or (error.args[0] if error.args else None)
    if isinstance(cause, _SDK_ERRORS):
        return _classified(cause)
    if error.retryable:
        return DriverUnavailable, _BROKEN
    return AccessDenied, _SKEWED if "reasonable timeframe" in str(error) else _UNKNOWN


def _mentions_certificate(error: BaseException) -> bool:
    """`urllib3` hides a TLS failure in the end of its retries."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _body(error: GoogleAPICallError) -> dict[str, Any]:
    """What the service said; the SDK's own message has it or not, depending on the call."""
    try:
        said = error.response.json()["error"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _reason(error: Exception) -> str:
    """In one line, why; what `requests` wraps around a broken connection is left out."""
    wrapped = error.args[0] if error.args else None
    text = str(getattr(wrapped, "reason", None) or error)
    if isinstance(error, GoogleAPICallError):
        text = str(_body(error).get("message") or error.message)
    return " ".join(text.split())[:500] or type(error).__name__
