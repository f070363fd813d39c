"""What goes wrong with a request, as a person and a program are told it (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from registry_server.api.errors import RETRY_AFTER, TABLE
from registry_server.auth.access import CredentialsRefused
from registry_server.hub import errors
from registry_server.limits import TooManyRequests
from registry_storage.errors import QuotaExceeded, RegistryError, RepositoryExists

PROBLEM_TYPE: Final = "application/problem+json"
CHALLENGE: Final = 'Bearer realm="registry-hub"'
"""Where credentials are missing or wrong: an access token is what a program may send."""


class Problem(Exception):
    """A request that is refused, with all that its sender is told."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        fields: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.fields = tuple(fields)
        """What is wrong with which field: `{"field": …, "message": …}`."""
        super().__init__(detail)


def unauthenticated(detail: str = "say who you are: sign in, or send an access token") -> Problem:
    """Credentials are missing, or are not valid."""
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": CHALLENGE})


def unknown(detail: str = "there is no such thing, or none that you may see") -> Problem:
    """It is not there, or not for the caller."""
    return Problem(404, "not-found", detail)


def forbidden(detail: str) -> Problem:
    """The caller may see it, but not do that."""
    return Problem(403, "forbidden", detail)


_OF_HUB: Final[Mapping[type[RegistryError], tuple[int, str]]] = {
    errors.Unknown: (404, "not-found"),
    errors.Taken: (409, "name-taken"),
    errors.Conflict: (409, "conflict"),
    errors.Invalid: (422, "invalid"),
    errors.Unavailable: (503, "service-unavailable"),
    RepositoryExists: (409, "name-taken"),
    QuotaExceeded: (403, "quota-exceeded"),
}


def problem_of(error: Exception) -> Problem:
    """What the sender of a request is told of an error; what it does not concern is for the log."""
    match error:
        case Problem():
            return error
        case CredentialsRefused():
            return unauthenticated(error.told)
        case TooManyRequests():
            headers = {"Retry-After": str(error.retry_after)}
            return Problem(429, "too-many-requests", str(error), headers=headers)
        case RegistryError():
            return _of_library(error)
        case web.HTTPException():
            return _of_framework(error)
    return Problem(500, "internal", "the hub failed at this; its log says why")


def _of_library(error: RegistryError) -> Problem:
    for kind in type(error).__mro__:
        if kind in _OF_HUB:
            status, code = _OF_HUB[kind]
            return Problem(status, code, str(error), headers=_to_wait(status))
        if kind in TABLE:
            status = TABLE[kind][0]
            break
    if status == 500:
        return Problem(500, "internal", "the hub failed at this; its log says why")
    code = HTTPStatus(status).phrase.lower().replace(" ", "-")
    return Problem(status, code, str(error), headers=_to_wait(status))


def _to_wait(status: int) -> dict[str, str]:
    """When it is worth another try."""
    return {"Retry-After": str(RETRY_AFTER)} if status in (429, 503) else {}


def _of_framework(error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPNotFound):
        return unknown()
    headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    code = error.reason.lower().replace(" ", "-")
    return Problem(error.status, code, error.reason, headers=headers)


def respond(problem: Problem) -> web.Response:
    """The answer."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": str(problem),
    }
    if problem.fields:
        document["errors"] = list(problem.fields)
    return web.Response(
        status=problem.status,
        body=json.dumps(document).encode(),
        content_type=PROBLEM_TYPE,
        headers=problem.headers,
    )
