"""All that the hub answers, in one list: each route with the policy that guards it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aiohttp import web

from registry_server.hub.api import routes as api
from registry_server.hub.login import routes as login
from registry_server.hub.pages import routes as pages
from registry_server.hub.tokens import endpoint
from registry_server.hub.web.application import Site
from registry_server.hub.web.routes import Route

if TYPE_CHECKING:
    from registry_server.hub.service import Hub

ROUTES: Final[Sequence[Route]] = (*endpoint.ROUTES, *pages.ROUTES, *login.ROUTES, *api.ROUTES)


def mount(application: web.Application, hub: Hub) -> None:
    """Add them all."""
    Site(hub, hub.logins, hub.rights).mount(application, ROUTES)
