"""What a client is told when something goes wrong (OCI Distribution Spec 1.1, "Error Codes").

`TABLE` maps each error of the library to a status and a code; a kind of one that a driver made for
itself is answered as that one.  `Problem` is what the server itself finds wrong with a request.
Docker shows a person the message and nothing else, so the message carries the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from registry_server.api.replies import Header, Reply
from registry_storage import errors

RETRY_AFTER: Final = 2
"""Seconds; clients back off from there by themselves."""

TABLE: Final[Mapping[type[errors.RegistryError], tuple[int, str]]] = {
    errors.RegistryError: (500, "UNKNOWN"),
    errors.InvalidInput: (400, "UNSUPPORTED"),
    errors.NameInvalid: (400, "NAME_INVALID"),
    errors.TagInvalid: (400, "TAG_INVALID"),
    errors.DigestInvalid: (400, "DIGEST_INVALID"),
    errors.SizeInvalid: (400, "SIZE_INVALID"),
    errors.ManifestInvalid: (400, "MANIFEST_INVALID"),
    errors.ManifestTooLarge: (413, "SIZE_INVALID"),
    errors.ManifestBlobUnknown: (400, "MANIFEST_BLOB_UNKNOWN"),
    errors.ConfigurationInvalid: (500, "UNKNOWN"),
    errors.NotFound: (404, "NAME_UNKNOWN"),
    errors.RepositoryUnknown: (404, "NAME_UNKNOWN"),
    errors.ManifestUnknown: (404, "MANIFEST_UNKNOWN"),
    errors.BlobUnknown: (404, "BLOB_UNKNOWN"),
    errors.UploadUnknown: (404, "BLOB_UPLOAD_UNKNOWN"),
    errors.UploadConflict: (416, "BLOB_UPLOAD_INVALID"),
    errors.BodyInterrupted: (400, "SIZE_INVALID"),
    errors.ContentInUse: (409, "DENIED"),
    errors.TagExists: (403, "DENIED"),
    errors.RepositoryExists: (409, "DENIED"),
    errors.QuotaExceeded: (403, "DENIED"),
    errors.TooManyUploads: (429, "TOOMANYREQUESTS"),
    errors.StoreMismatch: (503, "UNAVAILABLE"),
    errors.CatalogError: (500, "UNKNOWN"),
    errors.CatalogUnavailable: (503, "UNAVAILABLE"),
    errors.DriverError: (500, "UNKNOWN"),
    errors.BlobNotFound: (500, "UNKNOWN"),
    errors.RangeNotSatisfiable: (416, "SIZE_INVALID"),
    errors.PartLost: (500, "UNKNOWN"),
    errors.UploadNotFound: (500, "UNKNOWN"),
    errors.AccessDenied: (500, "UNKNOWN"),
    errors.NoSpace: (507, "UNAVAILABLE"),
    errors.ReadOnlyStore: (405, "UNSUPPORTED"),
    errors.SdkMissing: (500, "UNKNOWN"),
    errors.TransientError: (503, "UNAVAILABLE"),
    errors.Throttled: (503, "UNAVAILABLE"),
    errors.DriverTimeout: (503, "UNAVAILABLE"),
    errors.DriverUnavailable: (503, "UNAVAILABLE"),
}


class Problem(Exception):
    """A request that the server refuses, with all that the client is told."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Sequence[Header] = (),
        close: bool = False,
    ) -> None:
        self.status = status
        self.code = code
        self.headers = tuple(headers)
        self.close = close
        """Whether the connection can carry no further request."""
        super().__init__(message)


def reply_to_problem(problem: Problem) -> Reply:
    """The answer to a request that the server refuses."""
    body = error_body((problem.code, str(problem), None))
    return _reply(problem.status, body, problem.headers, close=problem.close)


def reply_to_error(error: errors.RegistryError, headers: Sequence[Header] = ()) -> Reply:
    """The answer to a request at which the library failed.

    What went wrong on this side is for the log; a client is told only that it did.
    """
    status, code = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    if isinstance(error, errors.ManifestBlobUnknown):
        entries = [
            (code, f"the repository does not hold {digest}; push it first", {"digest": digest})
            for digest in error.missing
        ]
        return _reply(status, error_body(*entries), headers)
    message = str(error) if status != 500 else "the registry failed at this; its log says why"
    return _reply(status, error_body((code, message, None)), headers)


def error_body(*entries: tuple[str, str, Any]) -> bytes:
    """The JSON for (code, message, detail) of each error; a detail of None is left out."""
    listed = [
        {"code": code, "message": message} | ({} if detail is None else {"detail": detail})
        for code, message, detail in entries
    ]
    return json.dumps({"errors": listed}).encode()


def _reply(status: int, body: bytes, headers: Sequence[Header], *, close: bool = False) -> Reply:
    fields = [("Content-Type", "application/json"), *headers]
    if status in (429, 503) and not any(name == "Retry-After" for name, _ in headers):
        fields.append(("Retry-After", str(RETRY_AFTER)))
    return Reply(status, tuple(fields), body, close=close)
