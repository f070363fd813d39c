"""Requests that another site makes a browser send, and how they are told from ours.

Two independent signs: where the browser says the request comes from, and a token that only our own
pages can read.  Requests with credentials of their own in `Authorization` need neither: no browser
adds those by itself.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from aiohttp import web

from registry_server.hub.web.callers import Sender
from registry_server.hub.web.problems import forbidden
from registry_server.hub.web.reading import FORM_TYPE, read_form

TOKEN_HEADER: Final = "X-CSRF-Token"
TOKEN_FIELD: Final = "csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def refuse_forgery(request: web.Request, sender: Sender, public_url: str) -> None:
    """Refuse what changes something and was not sent by a page of ours or by a program.

    `public_url` is the one that people reach the hub by, where that is configured.
    """
    if request.method in SAFE_METHODS or sender.by_header:
        return
    if not _is_from_here(request, public_url):
        raise forbidden("the request comes from another site")
    if sender.csrf is not None and not await _repeats(request, sender.csrf):
        raise forbidden(
            f"send the session's token in {TOKEN_HEADER}, or as the field {TOKEN_FIELD}"
        )


def _is_from_here(request: web.BaseRequest, public_url: str) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin in (public_url, f"{request.scheme}://{request.host}")


async def _repeats(request: web.Request, csrf: str) -> bool:
    shown = request.headers.get(TOKEN_HEADER)
    if shown is None and request.content_type == FORM_TYPE:
        shown = (await read_form(request)).get(TOKEN_FIELD)
    return shown is not None and compare_digest(shown.encode(), csrf.encode())
