"""All routes of the API, in the order of its document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from registry_server.hub.api import (
    audit,
    client_logins,
    me,
    namespaces,
    organisations,
    repositories,
    robots,
    sessions,
    teams,
    users,
)
from registry_server.hub.api.document import document_route
from registry_server.hub.web.routes import Route

_ROUTES: Final[Sequence[Route]] = (
    *sessions.ROUTES,
    *me.ROUTES,
    *client_logins.ROUTES,
    *users.ROUTES,
    *organisations.ROUTES,
    *teams.ROUTES,
    *robots.ROUTES,
    *repositories.ROUTES,
    *namespaces.ROUTES,
    *audit.ROUTES,
)
ROUTES: Final[Sequence[Route]] = (*_ROUTES, document_route(_ROUTES))
