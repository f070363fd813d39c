"""The cookie that carries a session's secret.

Where the browser came by TLS its name says `__Host-`, so that no other host or path can set it, and
it is never sent in the clear.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

_NAME: Final = "session"


def session_secret(request: web.BaseRequest) -> str | None:
    """What the browser holds, if anything."""
    return request.cookies.get(_name(request))


def give_session(request: web.BaseRequest, response: web.StreamResponse, secret: str) -> None:
    """As `set_session`, or as `clear_session` where there is none any more."""
    if secret:
        set_session(request, response, secret)
    else:
        clear_session(request, response)


def set_session(request: web.BaseRequest, response: web.StreamResponse, secret: str) -> None:
    """Give the browser a session's secret, until it is closed or the session ends."""
    response.set_cookie(
        _name(request), secret, path="/", secure=request.secure, httponly=True, samesite="Lax"
    )


def clear_session(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Take it away."""
    response.del_cookie(
        _name(request), path="/", secure=request.secure, httponly=True, samesite="Lax"
    )


def _name(request: web.BaseRequest) -> str:
    return f"__Host-{_NAME}" if request.secure else _NAME
