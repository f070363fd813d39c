"""What every answer of the hub carries, so that browsers do no more with it than is meant."""

from __future__ import annotations

from typing import Final

from aiohttp import web

_EVERYWHERE: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_PAGES: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_DATA: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_TRANSPORT: Final = "max-age=31536000"


def complete(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add them.  What the handler has set itself stays."""
    for name, value in _EVERYWHERE.items():
        response.headers.setdefault(name, value)
    policy = _PAGES if response.content_type == "text/html" else _DATA
    response.headers.setdefault("Content-Security-Policy", policy)
    if request.scheme == "https":
        response.headers.setdefault("Strict-Transport-Security", _TRANSPORT)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Vary", "Authorization, Cookie")
