"""The list of repositories (not in the OCI spec: Docker Registry HTTP API V2, "Catalog")."""

from __future__ import annotations

from registry_server.api.calls import Call
from registry_server.api.pages import json_reply, link_to_next, requested_page
from registry_server.api.paths import Resource
from registry_server.api.replies import Reply

_BATCH = 1000


async def list_repositories(call: Call) -> Reply:
    """Those that whoever asks may see, in byte order; a page is full unless it is the last."""
    page = requested_page(call.parameters(), call.context.settings.catalog.maxentries)
    found = await _readable(call, page.after, page.size + 1)
    shown = found[: page.size]
    if not shown or len(found) == len(shown):
        return json_reply({"repositories": shown})
    link = link_to_next(call, Resource.CATALOG, page, shown[-1])
    return json_reply({"repositories": shown}, link)


async def _readable(call: Call, after: str, count: int) -> list[str]:
    registry, listing = call.context.registry, call.listing()
    if listing is not None:
        return await registry.visible(
            public=True,
            namespaces=listing.namespaces,
            names=listing.repositories,
            after=after,
            limit=count,
        )
    found: list[str] = []
    batch_size = max(_BATCH, count)
    while len(found) < count:
        batch = await registry.repositories(after=after, limit=batch_size)
        found += [name for name in batch if call.may_see(name)]
        if len(batch) < batch_size:
            break
        after = batch[-1]
    return found[:count]
