"""A hub whose people log in at a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from registry_server.hub.records import members
from tests.hub.conftest import Served
from tests.hub.login.browser import Browser, a_browser
from tests.services.openid import OpenIDServer

Serve = Callable[..., Awaitable[Served]]

CLIENT = "registry-hub"
SECRET = "a secret: +/%"
GROUPS = {"developers": {"team": "write"}, "leads": {"team": "admin", "other": "read"}}


def oidc(issuer: str, **settings: Any) -> dict[str, Any]:
    """The settings of a hub with that provider."""
    section = {
        "issuer": issuer,
        "clientid": CLIENT,
        "clientsecret": SECRET,
        "name": "Example",
        "groups": GROUPS,
        **settings,
    }
    return {"auth": {"hub": {"oidc": section}}}


@pytest.fixture
async def with_provider(serve_hub: Serve, openid_server: OpenIDServer) -> Served:
    """… a real one."""
    return await serve_hub(**oidc(openid_server.issuer))


@pytest.fixture
async def browser(with_provider: Served) -> AsyncIterator[Browser]:
    async with a_browser(with_provider) as opened:
        yield opened


async def roles(served: Served, user: str) -> dict[str, str]:
    """What a user is in organisations."""
    found = {}
    for organisation in ("team", "other"):
        page = await served.hub.database.read(members.page, organisation, after="", limit=100)
        found.update((organisation, str(row.role)) for row in page if row.user == user)
    return found
