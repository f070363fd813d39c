"""Who sends a request: by a token in `Authorization`, or by a browser's session.

A registry's token is nobody's here, and neither is a password: programs send access tokens.  Where
`Authorization` is sent the cookie does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from registry_server.auth.access import CredentialsRefused
from registry_server.auth.basic import parse_basic
from registry_server.hub.callers import ANONYMOUS, Caller
from registry_server.hub.web.cookies import session_secret

TOKENS: Final = ("rgp_", "rgr_")
"""How the secrets of access tokens and of robots begin."""


class LoginService(Protocol):
    """Whose credentials those are.  All raise `CredentialsRefused`, `TooManyLogins`."""

    async def by_password(self, name: str, secret: str, origin: str) -> Caller: ...

    async def by_bearer(self, secret: str, origin: str) -> Caller: ...

    async def by_session(self, cookie: str, origin: str) -> tuple[Caller, str]: ...


class TokenNeeded(CredentialsRefused):
    """What was sent is neither an access token nor a robot's secret, whoever's it may be."""

    @property
    def told(self) -> str:
        return "passwords are not taken here: send an access token, or sign in in the browser"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a request, and what they must repeat to show that a page of ours made it."""

    caller: Caller
    csrf: str | None = None
    """Of their session; None: no cookie was taken for proof of anything."""
    by_header: bool = False
    """By credentials that no browser adds by itself."""


async def identify(request: web.BaseRequest, logins: LoginService) -> Sender:
    """Who sent it.  A session that has ended, or never was one, counts for nothing.

    Raises `CredentialsRefused`, `TooManyLogins`.
    """
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        caller = await _by_header(authorization, logins, request.remote or "")
        return Sender(caller, by_header=True)
    secret = session_secret(request)
    if secret is None:
        return Sender(ANONYMOUS)
    try:
        caller, csrf = await logins.by_session(secret, request.remote or "")
    except CredentialsRefused:
        return Sender(ANONYMOUS)
    return Sender(caller, csrf)


async def _by_header(authorization: str, logins: LoginService, origin: str) -> Caller:
    scheme, _, text = authorization.partition(" ")
    match scheme.lower():
        case "bearer" if text.startswith(TOKENS):
            return await logins.by_bearer(text, origin)
        case "basic":
            shown = parse_basic(authorization)
            if shown.password.startswith(TOKENS):
                return await logins.by_password(shown.name, shown.password, origin)
    raise TokenNeeded
