"""Turns what boto3 raises into this project's errors: one table, one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from botocore import exceptions as sdk  # type: ignore[import-untyped]

from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    PartLost,
    Throttled,
    UploadNotFound,
)

Kind = Callable[[str], DriverError]

_KEYS = "{where} does not accept the credentials ({reason}): check accesskey and secretkey"
_TOKEN = "{where} says that the credentials have expired ({reason}): renew sessiontoken"
_RIGHTS = (
    "{where} refuses the operation on {what} ({reason}): give the access key the rights that the "
    "page on S3 lists"
)
_CLOCK = "{where} finds our clock wrong ({reason}): set this machine's time"
_REGION = "{where} is not in the region that requests are signed for{hint} ({reason}): set region"
_NO_BUCKET = "{where} does not exist ({reason}): create it, or correct bucket and region"
_ENCRYPTION = "{where} cannot encrypt or decrypt {what} ({reason}): check keyid and its policy"
_BUSY = "{where} asks for fewer requests ({reason}): lower maxconcurrency if this goes on"
_FULL = "{where} has no room for {what} ({reason}): free some space or raise the quota"
_SLOW = "{where} did not answer in time ({reason})"
_BROKEN = "{where} failed on {what} ({reason})"
_DAMAGED = "{where} got other bytes than were sent for {what} ({reason})"
_LACKS = "{where} does not know what {what} needs ({reason})"
_AWAY = "{where} cannot be reached ({reason}): check regionendpoint and the network"
_TLS = (
    "{where} has no certificate that this machine trusts ({reason}): name its authority in "
    "AWS_CA_BUNDLE, or begin regionendpoint with http:// if it speaks no TLS"
)
_NO_KEYS = (
    "no credentials for {where} ({reason}): set accesskey and secretkey, or provide them where the "
    "SDK looks (environment, shared files, a role)"
)
_OTHER = "{where} refuses the request for {what} ({reason})"

_Row = tuple[type[DriverError], str]


def _rows(kind: type[DriverError], message: str, codes: str) -> dict[str, _Row]:
    return dict.fromkeys(codes.split(), (kind, message))


_BY_CODE: Final[Mapping[str, _Row]] = {
    **_rows(BlobNotFound, "nothing is stored at {what} in {where}", "NoSuchKey NotFound 404"),
    **_rows(UploadNotFound, "there is no upload {what} in {where}", "NoSuchUpload"),
    **_rows(PartLost, "a part of {what} is gone or was replaced", "InvalidPart InvalidPartOrder"),
    **_rows(DriverError, _NO_BUCKET, "NoSuchBucket"),
    **_rows(AccessDenied, _KEYS, "InvalidAccessKeyId InvalidClientTokenId SignatureDoesNotMatch"),
    **_rows(AccessDenied, _TOKEN, "ExpiredToken InvalidToken TokenRefreshRequired"),
    **_rows(AccessDenied, _RIGHTS, "AccessDenied AllAccessDisabled AccountProblem 401 403"),
    **_rows(AccessDenied, _CLOCK, "RequestTimeTooSkewed RequestExpired"),
    **_rows(DriverError, _REGION, "AuthorizationHeaderMalformed PermanentRedirect 301"),
    **_rows(DriverError, _REGION, "IllegalLocationConstraintException TemporaryRedirect 307"),
    **_rows(AccessDenied, _ENCRYPTION, "KMS.AccessDeniedException KMS.DisabledException"),
    **_rows(DriverError, _ENCRYPTION, "KMS.NotFoundException KMS.KMSInvalidStateException"),
    **_rows(Throttled, _BUSY, "SlowDown Throttling ThrottlingException RequestLimitExceeded"),
    **_rows(
        Throttled, _BUSY, "TooManyRequests TooManyRequestsException ServiceUnavailable 429 503"
    ),
    **_rows(NoSpace, _FULL, "QuotaExceeded InsufficientCapacity XMinioStorageFull StorageFull 507"),
    **_rows(DriverTimeout, _SLOW, "RequestTimeout RequestTimeoutException GatewayTimeout 408 504"),
    **_rows(DriverUnavailable, _DAMAGED, "BadDigest IncompleteBody XAmzContentSHA256Mismatch"),
    **_rows(DriverUnavailable, _BROKEN, "OperationAborted ConditionalRequestConflict"),
    **_rows(DriverError, _LACKS, "NotImplemented 501"),
}

_BY_CLASS: Final[tuple[tuple[tuple[type[Exception], ...], _Row], ...]] = (
    ((sdk.NoCredentialsError, sdk.PartialCredentialsError), (AccessDenied, _NO_KEYS)),
    ((sdk.CredentialRetrievalError, sdk.TokenRetrievalError), (AccessDenied, _NO_KEYS)),
    ((sdk.ConnectTimeoutError, sdk.ReadTimeoutError), (DriverTimeout, _SLOW)),
    ((sdk.HTTPClientError, sdk.ConnectionError, OSError), (DriverUnavailable, _AWAY)),
    ((sdk.IncompleteReadError,), (DriverUnavailable, _BROKEN)),
)


@dataclass(frozen=True, slots=True)
class Store:
    """The bucket, as messages name it."""

    bucket: str
    endpoint: str

    def __str__(self) -> str:
        return f"bucket {self.bucket} at {self.endpoint}"


@contextmanager
def translating(store: Store, what: str) -> Iterator[None]:
    """Raise what the SDK raises inside as an error of this project; `what` is worked on."""
    try:
        yield
    except (sdk.BotoCoreError, sdk.ClientError, OSError) as error:
        raise translated(error, store, what) from error


def translated(error: Exception, store: Store, what: str) -> DriverError:
    """The error of this project for one of the SDK's."""
    kind, message = _row(error)
    text = message.format(where=store, what=what, reason=_reason(error), hint=_region_hint(error))
    return kind(text, location=what)


def code_of(error: sdk.ClientError) -> str:
    """What the store calls the error: a name, or the status where it says nothing else."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _row(error: Exception) -> _Row:
    if isinstance(error, sdk.ClientError):
        return _by_code(error)
    if isinstance(error, sdk.SSLError) and "certificate" in str(error).lower():
        return DriverError, _TLS
    if isinstance(error, sdk.SSLError) and "WRONG_VERSION" in str(error):
        return DriverError, _TLS
    return next(
        (row for classes, row in _BY_CLASS if isinstance(error, classes)), (DriverError, _OTHER)
    )


def _by_code(error: sdk.ClientError) -> _Row:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    for code in (code_of(error), str(status)):
        if row := _BY_CODE.get(code):
            return row
    return (DriverUnavailable, _BROKEN) if status >= 500 else (DriverError, _OTHER)


def _reason(error: Exception) -> str:
    if isinstance(error, sdk.ClientError):
        message = error.response.get("Error", {}).get("Message") or ""
        return f"{code_of(error)}: {message}".removesuffix(": ").replace("\n", " ")
    return " ".join(str(error).split())


def _region_hint(error: Exception) -> str:
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    named = response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    return f" but in {named}" if named else ""
