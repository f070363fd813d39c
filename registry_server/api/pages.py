"""Lists in pages: `n` and `last` of a query, and the `Link` to the next page (RFC 8288)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from registry_server.api.calls import Call
from registry_server.api.errors import Problem
from registry_server.api.replies import Header, Reply
from registry_server.api.requests import single

_COUNT = re.compile(r"[0-9]{1,100}")
_MAX_LAST = 1024


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    size: int
    """Entries at most; may be 0."""
    after: str
    """Only entries above this one."""


def requested_page(parameters: dict[str, list[str]], largest: int) -> Page:
    """The page that a query asks for, at most `largest` entries.

    Raises `Problem` (400) where `n` is not a number or `last` can be no entry.
    """
    count = single(parameters, "n")
    if count is not None and not _COUNT.fullmatch(count):
        raise Problem(400, "PAGINATION_NUMBER_INVALID", "n must be a number, from 0")
    last = single(parameters, "last") or ""
    if not (last.isascii() and last.isprintable()) or len(last) > _MAX_LAST:
        raise Problem(400, "UNSUPPORTED", "last must be an entry of the list")
    return Page(largest if count is None else min(int(count), largest), last)


def link_to_next(call: Call, path: str, page: Page, last: str, **others: str) -> Header:
    """The `Link` to the page after the entry `last`."""
    query = urlencode({"n": str(page.size), "last": last, **others}, safe=":/")
    return "Link", f'<{call.authority}{path}?{query}>; rel="next"'


def json_reply(document: Any, *headers: Header, media_type: str = "application/json") -> Reply:
    """An answer with a JSON document."""
    return Reply(200, (("Content-Type", media_type), *headers), json.dumps(document).encode())
