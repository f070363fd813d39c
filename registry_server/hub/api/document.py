"""The API's own document (OpenAPI 3.1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from typing import Final

from aiohttp import web

from registry_server.hub.web.document import describe
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.reading import JSON_TYPE
from registry_server.hub.web.routes import Call, Handler, Route

PATH: Final = "/api/v1/openapi.json"
_SUMMARY: Final = "Accounts, organisations, repositories, tokens and the audit log."


def document_route(others: Sequence[Route]) -> Route:
    """The route that shows the document of itself and the `others`."""
    route = Route("GET", PATH, Policy.UNIDENTIFIED, _shows(lambda: (*others, route)))
    return route


def _shows(routes: Callable[[], Sequence[Route]]) -> Handler:
    @cache
    def text() -> str:
        found = describe(routes(), "registry-server", version("registry-storage"), _SUMMARY)
        return json.dumps(found)

    async def get_document(call: Call) -> web.Response:
        """Show this document."""
        return web.Response(text=text(), content_type=JSON_TYPE)

    return get_document
