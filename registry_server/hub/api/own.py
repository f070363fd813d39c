"""The caller's own account."""

from __future__ import annotations

from registry_server.hub.records.users import User
from registry_server.hub.web.routes import Call


async def own(call: Call) -> User:
    """The user who calls.  Raises `Unknown`."""
    return await call.hub.accounts.users.get(call.caller.account or 0)
