"""The application: a store, access control, the hub and the HTTP server over them, in one process.

A process is both halves of the server, or one of them (`role`): the registry half serves images
below /v2 and believes tokens; the hub knows people, and signs them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from aiohttp import web

from registry_server.api.calls import Context
from registry_server.api.paths import is_ours
from registry_server.api.replies import request_id
from registry_server.api.requests import Request, is_odd, origin_form
from registry_server.auth import Access, make_access
from registry_server.connections import Server, check_values_in_force
from registry_server.crowd import Crowd, allow_many_files
from registry_server.dispatch import Dispatcher
from registry_server.limits import Limits, open_limits
from registry_server.listening import BACKLOG
from registry_server.operations.access_log import AccessLog
from registry_server.operations.health import Health
from registry_server.operations.metrics import Metrics
from registry_server.proxies import TrustedProxies
from registry_server.settings import Settings
from registry_server.settings.tls import tls_context
from registry_server.store import open_store

if TYPE_CHECKING:
    from registry_server.hub.service import Hub
    from registry_storage import Registry


async def start(settings: Settings, sockets: Sequence[socket.socket]) -> Running:
    """Open the store and serve on listening sockets; return when a request would be answered.

    Raises `RegistryError` where the store, the catalog or the access control cannot be opened.
    """
    async with AsyncExitStack() as resources:
        registry, hub = await open_halves(settings, resources)
        application = await make_application(settings, registry, hub, resources)
        tls = tls_context(settings.http.tls)
        loop = asyncio.get_running_loop()
        listeners = [
            await loop.create_server(application.server, sock=sock, ssl=tls, backlog=BACKLOG)
            for sock in sockets
        ]
        if not settings.storage.maintenance.readonly.enabled:
            resources.push_async_callback(_begin_housekeeping(registry))
        return Running(settings, application, listeners, resources.pop_all())


class Running:
    """A server under way."""

    def __init__(
        self,
        settings: Settings,
        application: Application,
        listeners: Sequence[asyncio.Server],
        resources: AsyncExitStack,
    ) -> None:
        self._settings = settings
        self._application = application
        self._listeners = listeners
        self._resources = resources

    async def drain(self) -> None:
        """End well: readiness first, then the listening sockets, then what is under way.

        Requests under way get `http.draintimeout` to end; then the store is closed.
        """
        self._application.health.is_draining = True
        for listener in self._listeners:
            listener.close()
        await self._application.server.end(self._settings.http.draintimeout)
        await self._resources.aclose()


class Application:
    """The distribution API, and the pages beside it, behind one HTTP server."""

    def __init__(
        self,
        settings: Settings,
        crowd: Crowd,
        dispatcher: Dispatcher,
        pages: web.Server,
        health: Health,
    ) -> None:
        self.health = health
        self._serves_images = settings.role.has_registry
        self._dispatcher = dispatcher
        self._pages = pages
        http = settings.http
        proxies = TrustedProxies(http.trustedproxies)
        self.server = Server(self._handle, self._make_request, http.timeouts, crowd, proxies)
        check_values_in_force(self.server)

    def _make_request(self, message: Any, payload: Any, protocol: Any, *others: Any) -> Any:
        if is_odd(message) or self._is_for_images(message):
            return Request(message, payload, protocol, *others)
        page = self._pages.request_factory(message, payload, protocol, *others)
        return page if protocol.proxies is None else _as_sent(page, protocol.proxies)

    def _is_for_images(self, message: Any) -> bool:
        return self._serves_images and is_ours(origin_form(message).partition("?")[0])

    def _handle(self, request: Any) -> Awaitable[web.StreamResponse]:
        if type(request) is Request:
            return self._dispatcher(request)
        return self._pages.request_handler(request)


def _as_sent(page: web.BaseRequest, proxies: TrustedProxies) -> web.BaseRequest:
    """A request for a page as its client sent it, before proxies passed it on."""
    origin = proxies.origin(page.headers, page.remote or "")
    return page.clone(
        remote=origin.remote, scheme=origin.scheme or page.scheme, host=origin.host or page.host
    )


async def open_halves(settings: Settings, resources: AsyncExitStack) -> tuple[Registry, Hub | None]:
    """Open the store and, where this process is to serve it, the hub; `resources` close them.

    Raises `RegistryError`.
    """
    registry = await open_store(settings)
    resources.push_async_callback(registry.close)
    if settings.auth.hub is None or not settings.role.has_hub:
        return registry, None
    from registry_server.hub.service import open_hub

    return registry, await open_hub(settings, registry, resources)


async def _start_access(
    settings: Settings, hub: Hub | None, limits: Limits, resources: AsyncExitStack
) -> Access:
    own_keys = hub.own_keys() if hub is not None else None
    access = make_access(settings.auth, limits.logins, own_keys)
    await access.start()
    resources.push_async_callback(access.close)
    return access


async def make_application(
    settings: Settings, registry: Registry, hub: Hub | None, resources: AsyncExitStack
) -> Application:
    """Put the parts together; what has to be closed again goes to `resources`."""
    limits = open_limits(settings, resources)
    access = await _start_access(settings, hub, limits, resources)
    access_log = None
    if not settings.log.accesslog.disabled:
        access_log = AccessLog(settings.log)
        resources.callback(access_log.close)
    context = Context(registry, access, settings, limits.pulls)
    dispatcher = Dispatcher(context, Metrics(), access_log)
    health = Health(registry.check)
    if hub is not None:
        hub.audit.start()
        resources.push_async_callback(hub.audit.close)
    pages = web.AppRunner(_pages(health, hub, settings.http.headers), access_log=None)
    await pages.setup()
    resources.push_async_callback(pages.cleanup)
    assert pages.server is not None
    crowd = Crowd(settings.http.connections, allow_many_files())
    return Application(settings, crowd, dispatcher, pages.server, health)


def _pages(
    health: Health, hub: Hub | None, headers: Mapping[str, Sequence[str]]
) -> web.Application:
    """What lies outside /v2."""
    pages = web.Application()
    pages.add_routes(health.routes())
    if hub is not None:
        from registry_server.hub.site import mount

        mount(pages, hub)

    async def complete(request: web.Request, response: web.StreamResponse) -> None:
        if "X-Request-Id" not in response.headers:
            response.headers["X-Request-Id"] = request_id(request.headers.get("X-Request-Id"))
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.extend((name, value) for name in headers for value in headers[name])
        response.headers.pop("Server", None)

    pages.on_response_prepare.append(complete)
    return pages


def _begin_housekeeping(registry: Registry) -> Callable[[], Awaitable[None]]:
    """Apply for the office of the cluster's janitor; returns what leaves it."""
    leave = asyncio.Event()
    housekeeping = asyncio.create_task(registry.janitor().run(leave))

    async def end() -> None:
        leave.set()
        await housekeeping

    return end
