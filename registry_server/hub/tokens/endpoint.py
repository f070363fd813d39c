"""Where clients get tokens (Docker's token specification, and its OAuth2 form), and verifiers keys.

    GET  /token?service=…&scope=…&scope=…       with a name and a password, or with none
    POST /token  grant_type=password | refresh_token, …

Without credentials a token for what everybody may do is given; with wrong ones none at all.  Errors
are told twice, as registries do and as OAuth2 does, for clients read either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from registry_server.api.errors import RETRY_AFTER
from registry_server.auth.access import CredentialsRefused
from registry_server.auth.basic import parse_basic
from registry_server.auth.token_access import KEYS_PATH, TOKEN_PATH
from registry_server.hub.callers import ANONYMOUS, Caller
from registry_server.hub.errors import Unavailable
from registry_server.hub.records.audit import By
from registry_server.hub.tokens.scopes import TooManyScopes, Wanted, parse_scopes
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.problems import Problem
from registry_server.hub.web.reading import FORM_TYPE, read_body
from registry_server.hub.web.routes import Call, Route
from registry_server.limits import TooManyRequests

MAX_FIELDS: Final = 100
MAX_CLIENT: Final = 100
_YES: Final = ("true", "1")

Fields = dict[str, list[str]]


class TokenRefused(Exception):
    """No token is given; `error` is OAuth2's word for why (RFC 6749 section 5.2)."""

    def __init__(self, status: int, error: str, message: str) -> None:
        self.status = status
        self.error = error
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a request says besides who sends it."""

    wanted: Wanted
    client: str
    """What the client calls itself."""
    is_offline: bool
    """Whether it wants a refresh token, too."""


# The routes


async def get_token(call: Call) -> web.Response:
    """A token for what the caller may do of what is asked for."""
    try:
        ask = _ask(call, _fields(call.request.query_string))
        return await _give(call, ask, await _by_header(call))
    except _REFUSALS as error:
        return _refusal(error)


async def post_token(call: Call) -> web.Response:
    """A token by a password or by a refresh token (OAuth2)."""
    try:
        fields = _fields((await read_body(call.request, FORM_TYPE)).decode("utf-8", "replace"))
        ask = _ask(call, fields)
        if _needed(fields, "grant_type") == "password":
            return await _give(call, ask, await _by_password(call, fields))
        refresh_token = _needed(fields, "refresh_token")
        caller = await call.hub.refresh_tokens.redeem(refresh_token, call.origin)
        return await _give(call, ask, caller, refresh_token)
    except _REFUSALS as error:
        return _refusal(error)


async def get_keys(call: Call) -> web.Response:
    """The keys that tokens are signed with (RFC 7517)."""
    headers = {"Cache-Control": "public, max-age=60"}
    return web.json_response(call.hub.keys.jwks(), headers=headers)


ROUTES: Final = (
    Route("GET", TOKEN_PATH, Policy.UNIDENTIFIED, get_token),
    Route("POST", TOKEN_PATH, Policy.UNIDENTIFIED, post_token),
    Route("GET", KEYS_PATH, Policy.UNIDENTIFIED, get_keys),
)


# What is asked for


def _fields(text: str) -> Fields:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise TokenRefused(400, "invalid_request", f"more than {MAX_FIELDS} parameters") from None
    fields: Fields = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _single(fields: Fields, name: str) -> str:
    """A parameter that is there once, or, as the empty text, not at all."""
    values = fields.get(name, [""])
    if len(values) > 1:
        raise TokenRefused(400, "invalid_request", f"{name} is given {len(values)} times")
    return values[0]


def _needed(fields: Fields, name: str) -> str:
    value = _single(fields, name)
    if not value:
        raise TokenRefused(400, "invalid_request", f"{name} is missing")
    return value


def _ask(call: Call, fields: Fields) -> _Ask:
    ours, service = call.hub.settings.service, _single(fields, "service")
    if service not in ("", ours):
        message = f"tokens of this server are for the service {ours}, not for {service[:80]!r}"
        raise TokenRefused(400, "invalid_request", message)
    grant = _single(fields, "grant_type")
    if grant not in ("", "password", "refresh_token"):
        raise TokenRefused(
            400, "unsupported_grant_type", "use grant_type=password or grant_type=refresh_token"
        )
    wants_offline = _single(fields, "offline_token") in _YES
    return _Ask(
        wanted=parse_scopes(fields.get("scope", [])),
        client=_single(fields, "client_id")[:MAX_CLIENT],
        is_offline=wants_offline or _single(fields, "access_type") == "offline",
    )


# Who asks


async def _by_header(call: Call) -> Caller:
    authorization = call.request.headers.get("Authorization")
    if authorization is None:
        return ANONYMOUS
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return await call.hub.logins.by_bearer(secret.strip(" "), call.origin)
    credentials = parse_basic(authorization)
    if credentials.are_empty:
        return ANONYMOUS
    return await call.hub.logins.by_password(credentials.name, credentials.password, call.origin)


async def _by_password(call: Call, fields: Fields) -> Caller:
    name, password = _needed(fields, "username"), _needed(fields, "password")
    return await call.hub.logins.by_password(name, password, call.origin)


# The answer


async def _give(
    call: Call, ask: _Ask, caller: Caller, refresh_token: str | None = None
) -> web.Response:
    hub = call.hub
    hub.limits.tokens.charge(call.origin, caller.name)
    issued = await hub.issuer.issue(caller, ask.wanted)
    document: dict[str, Any] = {
        "token": issued.token,
        "access_token": issued.token,
        "token_type": "Bearer",
        "expires_in": issued.lifetime,
        "issued_at": datetime.fromtimestamp(issued.issued_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "scope": " ".join(issued.granted),
    }
    if ask.is_offline and not caller.is_anonymous:
        by = By(caller.name, call.origin, call.request_id)
        document["refresh_token"] = refresh_token or await hub.refresh_tokens.issue(
            by, caller, hub.settings.service, ask.client
        )
    return web.json_response(document)


_REFUSALS: Final = (
    TokenRefused,
    TooManyScopes,
    CredentialsRefused,
    TooManyRequests,
    Unavailable,
    Problem,
)


def _refusal(error: Exception) -> web.Response:
    match error:
        case TokenRefused():
            return _told(error.status, "UNSUPPORTED", error.error, str(error))
        case TooManyScopes():
            return _told(400, "UNSUPPORTED", "invalid_scope", str(error))
        case CredentialsRefused():
            headers = {"WWW-Authenticate": 'Basic realm="registry-hub"'}
            return _told(401, "UNAUTHORIZED", "invalid_grant", error.told, headers)
        case TooManyRequests():
            headers = {"Retry-After": str(error.retry_after)}
            return _told(429, "TOOMANYREQUESTS", "temporarily_unavailable", str(error), headers)
        case Unavailable():
            headers = {"Retry-After": str(RETRY_AFTER)}
            return _told(503, "UNAVAILABLE", "temporarily_unavailable", str(error), headers)
        case Problem():
            return _told(error.status, "UNSUPPORTED", "invalid_request", str(error), error.headers)
    raise error


def _told(
    status: int, code: str, error: str, message: str, headers: dict[str, str] | None = None
) -> web.Response:
    document = {
        "errors": [{"code": code, "message": message}],
        "error": error,
        "error_description": message,
    }
    return web.json_response(document, status=status, headers=headers)
