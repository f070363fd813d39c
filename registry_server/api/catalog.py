"""The list of repositories (not in the OCI spec: Docker Registry HTTP API V2, "Catalog")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from registry_server.api.calls import Call
from registry_server.api.errors import Problem
from registry_server.api.pages import Page, json_reply, link_to_next, requested_page
from registry_server.api.paths import Resource
from registry_server.api.replies import Reply

_BATCH: Final = 1000

LOOKED_AT: Final = 10_000
"""Names that one request looks at, at most, to find those that whoever asks may see."""

_BOOKMARK = re.compile(r"~([0-9]{1,18})")
"""A repository's number, which tells less than its name would: no name begins so."""


@dataclass(slots=True)
class _Found:
    """What a request found, and behind which name it stopped looking, if it did."""

    names: list[str]
    unfinished: str | None = None


async def list_repositories(call: Call) -> Reply:
    """Those that whoever asks may see, in byte order.

    A page that is not full has a link, too, where there is more to look at: of very many
    repositories few may be theirs, and no request looks at all.
    """
    page = requested_page(call.parameters(), call.context.settings.catalog.maxentries)
    found = await _readable(call, await _beginning(call, page.after), page.size + 1)
    shown = found.names[: page.size]
    behind = await _behind(call, page, found)
    if behind is None:
        return json_reply({"repositories": shown})
    return json_reply({"repositories": shown}, link_to_next(call, Resource.CATALOG, page, behind))


async def _beginning(call: Call, last: str) -> str:
    bookmark = _BOOKMARK.fullmatch(last)
    if bookmark is None:
        return last
    name = await call.context.registry.name(int(bookmark[1]))
    if name is None:
        raise Problem(400, "UNSUPPORTED", "the list has changed; ask from its beginning, again")
    return name


async def _behind(call: Call, page: Page, found: _Found) -> str | None:
    """What the next page begins behind; None: there is none."""
    if page.size == 0:
        return None
    if len(found.names) > page.size:
        return found.names[page.size - 1]
    if found.unfinished is None or call.may_see(found.unfinished):
        return found.unfinished
    number = await call.context.registry.number(found.unfinished)
    if number is None:  # deleted meanwhile: look at the same names again
        return found.names[-1] if found.names else page.after
    return f"~{number}"


async def _readable(call: Call, after: str, count: int) -> _Found:
    registry, listing = call.context.registry, call.listing()
    if listing is not None:
        visible = await registry.visible(
            public=True,
            namespaces=listing.namespaces,
            names=listing.repositories,
            after=after,
            limit=count,
        )
        return _Found(visible)
    found, looked_at, size = _Found([]), 0, count
    while looked_at < LOOKED_AT:
        batch = await registry.repositories(after=after, limit=size)
        found.names += [name for name in batch if call.may_see(name)]
        if len(batch) < size or len(found.names) >= count:
            return found
        after, looked_at, size = batch[-1], looked_at + size, _BATCH
    found.unfinished = after
    return found
