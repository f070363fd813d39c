"""The hub's routes, put into an application: what happens around every handler.

    who sends it -> did a page of ours send it -> the path's parameters -> the route's policy
    -> query and body -> the handler -> the answer

Whatever goes wrong on the way is answered as problem+json.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from aiohttp import web
from pydantic import BaseModel

from registry_server.api.replies import request_id
from registry_server.hub.callers import ANONYMOUS
from registry_server.hub.web import headers
from registry_server.hub.web.admission import RightsOf, admit
from registry_server.hub.web.callers import LoginService, Sender, identify
from registry_server.hub.web.cookies import give_session
from registry_server.hub.web.forgery import refuse_forgery
from registry_server.hub.web.policies import Concern
from registry_server.hub.web.problems import problem_of, respond
from registry_server.hub.web.reading import read_inputs, read_path
from registry_server.hub.web.routes import SESSION, Call, Route

if TYPE_CHECKING:
    from registry_server.hub.service import Hub

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NOBODY: Final = Sender(ANONYMOUS)
_HEADER: Final = "X-Request-Id"
_REQUEST_ID: Final = web.RequestKey("request_id", str)

log = logging.getLogger(__name__)


class Site:
    """The hub's routes over its services."""

    def __init__(self, hub: Hub, logins: LoginService, rights: RightsOf) -> None:
        self._hub = hub
        self._logins = logins
        self._rights = rights

    def mount(self, application: web.Application, routes: Iterable[Route]) -> None:
        """Add them; HEAD is answered where GET is."""
        application.middlewares.append(_answer_problems)
        application.on_response_prepare.append(_complete)
        for route in routes:
            handler = self._bound(route)
            application.router.add_route(route.method, route.path, handler)
            if route.method == "GET":
                application.router.add_route("HEAD", route.path, handler)

    def _bound(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            sender = await self._sender(request, route)
            path = read_path(request, route, dict(request.match_info))
            await admit(route.policy, sender.caller, self._rights, path)
            inputs = await read_inputs(request, route)
            call = Call(self._hub, request, sender.caller, sender.csrf, _id_of(request))
            response = _answer(await route.handler(call, **path, **inputs), route)
            if SESSION in request:
                give_session(request, response, request[SESSION])
            return response

        return handle

    async def _sender(self, request: web.Request, route: Route) -> Sender:
        sender = _NOBODY
        if route.policy.concern is not Concern.NOT_ASKED:
            sender = await identify(request, self._logins)
        await refuse_forgery(request, sender, self._hub.settings.url or "")
        return sender


def _answer(found: BaseModel | web.StreamResponse | None, route: Route) -> web.StreamResponse:
    if found is None:
        return web.Response(status=204)
    if isinstance(found, BaseModel):
        text = found.model_dump_json()
        return web.Response(status=route.status, text=text, content_type="application/json")
    return found


@web.middleware
async def _answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return respond(problem_of(error))
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500:
            log.exception("%s %s failed", request.method, request.path)
        return respond(problem)


async def _complete(request: web.Request, response: web.StreamResponse) -> None:
    headers.complete(request, response)
    response.headers[_HEADER] = _id_of(request)


def _id_of(request: web.Request) -> str:
    """The client's where it is fit, else a new one; of one request always the same."""
    if _REQUEST_ID not in request:
        request[_REQUEST_ID] = request_id(request.headers.get(_HEADER))
    return request[_REQUEST_ID]
