"""Tags: listing (OCI Distribution Spec 1.1, "Listing Tags")."""

from __future__ import annotations

from registry_server.api.calls import Call
from registry_server.api.pages import json_reply, link_to_next, requested_page
from registry_server.api.replies import Reply


async def list_tags(call: Call) -> Reply:
    """In byte order; `n=0` asks for an empty list, and gets no link."""
    page = requested_page(call.parameters(), call.context.settings.tags.maxtags)
    found = await call.repository.tags(after=page.after, limit=page.size + 1)
    shown = found[: page.size]
    document = {"name": call.target.name, "tags": shown}
    if not shown or len(found) == len(shown):
        return json_reply(document)
    path = f"/v2/{call.target.name}/tags/list"
    return json_reply(document, link_to_next(call, path, page, shown[-1]))
