"""From a parsed request to bytes on the wire: find the endpoint, decide, call the handler, answer.

Pulls are most of what a registry does, so there is one short path for all requests, and nothing on
it but what each of them needs.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from http import HTTPStatus
from time import monotonic
from typing import Final, Protocol

from aiohttp import HttpVersion11

from registry_server.api.body import BodyStalled, check_framing, has_body
from registry_server.api.calls import Call, Context
from registry_server.api.errors import Problem, reply_to_error, reply_to_problem
from registry_server.api.paths import Resource, Target, parse_target
from registry_server.api.replies import Header, Reply, head_bytes, request_id
from registry_server.api.requests import Request, origin_form
from registry_server.api.rights import ACTIONS, needed_scopes
from registry_server.api.routes import Need, Route, allowed_methods, find_route
from registry_server.auth.access import (
    ANONYMOUS,
    Action,
    CredentialsRefused,
    Decision,
    Subject,
)
from registry_server.connections import CLOSED, KEPT, Sent
from registry_server.limits import TooManyRequests
from registry_server.operations.access_log import Access
from registry_server.operations.metrics import Metrics
from registry_server.settings.model import Settings
from registry_storage.errors import BodyInterrupted, NotFound, RegistryError

log = logging.getLogger(__name__)

SMALL_REST: Final = 64 * 1024
"""An unread body up to this size is read away, so that the connection can be kept."""
CLIENT_LEFT: Final = 499
"""In the log, where no answer could be sent."""


class AccessRecorder(Protocol):
    """Where a line for each request goes."""

    def record(self, access: Access) -> None: ...


class Dispatcher:
    """Answers the requests of the distribution API."""

    def __init__(
        self, context: Context, metrics: Metrics, access_log: AccessRecorder | None
    ) -> None:
        self._context = context
        self._metrics = metrics
        self._access_log = access_log
        self._repository = lru_cache(maxsize=4096)(context.registry.repository)
        self._more_headers = _more_headers(context.settings)

    async def __call__(self, request: Request) -> Sent:
        """Answer one request; what comes back tells the protocol whether to keep the connection."""
        began = monotonic()
        request.connection.begin(request.content)
        exchange = _Exchange(request)
        self._metrics.in_flight += 1
        try:
            return await self._deliver(exchange, await self._reply(exchange))
        except ConnectionError:
            request.connection.abort()
            return CLOSED
        finally:
            self._metrics.in_flight -= 1
            self._record(exchange, monotonic() - began)

    # Deciding

    async def _reply(self, exchange: _Exchange) -> Reply:
        try:
            return await self._call(exchange)
        except Exception as error:
            return self._explain(exchange, error)

    async def _call(self, exchange: _Exchange) -> Reply:
        request = exchange.request
        if has_body(request) or request.message.version is not HttpVersion11:
            check_framing(request)
        target = exchange.target = _understood(request)
        route = find_route(request.method, target.resource)
        if route is None:
            raise _method_not_allowed(request.method, target.resource)
        subject = exchange.subject = await self._identify(request, route, target)
        decision = self._decide(exchange.request, route, target, subject)
        repository = self._repository(target.name) if target.name else None
        call = Call(self._context, request, target, subject, decision, repository)  # type: ignore[arg-type]
        try:
            return await route.handler(call)
        except NotFound:
            moved = await call.moved() if _follows_renames(route) else None
            if moved is None:
                raise
            return await route.handler(moved)

    async def _identify(self, request: Request, route: Route, target: Target) -> Subject:
        authorization = request.headers.get("Authorization")
        access = self._context.access
        subject = access.identify_cached(authorization)
        if subject is not None:
            return subject
        try:
            subject = await access.identify(authorization, client=request.remote)
        except CredentialsRefused as error:
            challenge = self._challenge(request, None, route, target)
            raise self._log_in(error.told, challenge) from None
        if subject.is_late and target.resource is not Resource.UPLOAD:
            challenge = self._challenge(request, None, route, target)
            raise self._log_in("the token has expired", challenge)
        return subject

    def _decide(
        self, request: Request, route: Route, target: Target, subject: Subject
    ) -> Decision | None:
        """Let in, or raise `Problem`."""
        access = self._context.access
        if route.need is Need.LOGIN or route.need is Need.LIST:
            is_let_in = access.admits if route.need is Need.LOGIN else access.may_list
            if not is_let_in(subject):
                challenge = self._challenge(request, subject, route, target)
                raise self._log_in("log in to use this registry", challenge)
            return None
        action = ACTIONS[route.need]
        decision = access.decide(subject, target.name, action)
        if not decision.allowed:
            challenge = self._challenge(request, subject, route, target)
            raise self._refusal(target, subject, action, challenge)
        if action is not Action.PULL:
            self._check_changes_are_on(action)
        return decision

    def _refusal(
        self, target: Target, subject: Subject, action: Action, challenge: str | None
    ) -> Problem:
        """Who may not read a repository is not told whether there is one."""
        if challenge is not None:
            return self._log_in(f"log in to {action} {target.name}", challenge)
        if action is Action.PULL:
            return Problem(404, "NAME_UNKNOWN", f"there is no repository {target.name} for you")
        return Problem(403, "DENIED", f"{subject.name} has no right to {action} {target.name}")

    def _challenge(
        self, request: Request, subject: Subject | None, route: Route, target: Target
    ) -> str | None:
        scopes = needed_scopes(route.need, target)
        return self._context.access.challenge(subject, scopes, request.authority)

    def _log_in(self, message: str, challenge: str | None) -> Problem:
        headers = [("WWW-Authenticate", challenge)] if challenge is not None else []
        return Problem(401, "UNAUTHORIZED", message, headers=headers)

    def _check_changes_are_on(self, action: Action) -> None:
        storage = self._context.settings.storage
        if storage.maintenance.readonly.enabled:
            raise Problem(405, "UNSUPPORTED", "the registry is read-only for now")
        if action is Action.DELETE and not storage.delete.enabled:
            raise Problem(405, "UNSUPPORTED", "deleting is turned off (storage.delete.enabled)")

    # Answering

    async def _deliver(self, exchange: _Exchange, reply: Reply) -> Sent:
        body = reply.body
        if isinstance(body, bytes) or exchange.request.method == "HEAD":
            return await self._send(exchange, reply)
        try:
            async with body.opened(exchange.request.connection) as send:
                keep, head = self._begin(exchange, reply)
                await send(head)
        except ConnectionError:
            raise
        except Exception as error:
            if not exchange.status:
                return await self._send(exchange, self._explain(exchange, error))
            self._log_failure(exchange)
            raise ConnectionAbortedError("failed in the middle of an answer") from error
        return KEPT if keep else CLOSED

    async def _send(self, exchange: _Exchange, reply: Reply) -> Sent:
        keep, head = self._begin(exchange, reply)
        connection = exchange.request.connection
        if exchange.request.method == "HEAD":
            connection.write(head)
        else:
            assert isinstance(reply.body, bytes)
            connection.write(head + reply.body)
        await connection.drain()
        return KEPT if keep else CLOSED

    def _begin(self, exchange: _Exchange, reply: Reply) -> tuple[bool, bytes]:
        """Whether the connection is kept, and the head of the answer."""
        request = exchange.request
        keep = not reply.close and _can_be_kept(request, reply.status)
        exchange.status = reply.status
        exchange.size = 0 if request.method == "HEAD" else reply.size
        if not keep:
            option = "close"
        elif request.message.version < HttpVersion11:
            option = "keep-alive"
        else:
            option = ""
        return keep, head_bytes(reply, exchange.request_id, option, self._more_headers)

    # What went wrong

    def _explain(self, exchange: _Exchange, error: Exception) -> Reply:
        match error:
            case Problem():
                return reply_to_problem(error)
            case TooManyRequests():
                headers = [("Retry-After", str(error.retry_after))]
                problem = Problem(429, "TOOMANYREQUESTS", str(error), headers=headers)
                return reply_to_problem(problem)
            case BodyInterrupted():
                status = 408 if isinstance(error, BodyStalled) else 400
                return reply_to_problem(Problem(status, "SIZE_INVALID", str(error), close=True))
            case ConnectionError():
                raise error
            case RegistryError():
                reply = reply_to_error(error)
                if reply.status == 500:
                    self._log_failure(exchange)
                elif reply.status > 500:
                    log.warning("%s", error, extra={"request_id": exchange.request_id})
                return reply
        self._log_failure(exchange)
        return reply_to_error(RegistryError())

    def _log_failure(self, exchange: _Exchange) -> None:
        self._metrics.failures += 1
        request = exchange.request
        log.exception(
            "failed at %s %s",
            request.method,
            request.target,
            extra={"request_id": exchange.request_id},
        )

    def _record(self, exchange: _Exchange, seconds: float) -> None:
        request, target = exchange.request, exchange.target
        resource = target.resource if target is not None else ""
        self._metrics.requests[(request.method, resource, exchange.status)] += 1
        self._metrics.bytes_sent += exchange.size
        if self._access_log is not None:
            self._access_log.record(
                Access(
                    request.remote,
                    exchange.subject.name,
                    request.method,
                    request.target,
                    exchange.status or CLIENT_LEFT,
                    exchange.size,
                    seconds,
                    exchange.request_id,
                    request.headers.get("User-Agent", ""),
                )
            )


class _Exchange:
    """One request, and what became of it."""

    __slots__ = ("request", "request_id", "size", "status", "subject", "target")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.request_id = request_id(request.headers.get("X-Request-Id"))
        self.target: Target | None = None
        self.subject = ANONYMOUS
        self.status = 0
        """0 until the first byte of the answer is on its way."""
        self.size = 0


def _follows_renames(route: Route) -> bool:
    """Pulls do.  Who asks for the head of a blob is about to push, and must push to a name that is
    the repository's own."""
    return route.need is Need.PULL and (route.method, route.resource) != ("HEAD", Resource.BLOB)


def _more_headers(settings: Settings) -> tuple[Header, ...]:
    """What every answer carries besides: no cache may show to one what another may see."""
    vary = () if settings.auth.is_open else (("Vary", "Authorization"),)
    configured = settings.http.headers.items()
    return (*vary, *((name, value) for name, values in configured for value in values))


def _understood(request: Request) -> Target:
    target = parse_target(origin_form(request.message))
    if target is None:
        raise Problem(404, "NAME_UNKNOWN", "there is no such endpoint")
    return target


def _method_not_allowed(method: str, resource: Resource) -> Problem:
    allowed = ", ".join(allowed_methods(resource))
    message = f"{method} is not possible here; possible: {allowed}"
    return Problem(405, "UNSUPPORTED", message, headers=[("Allow", allowed)])


def _can_be_kept(request: Request, status: int) -> bool:
    """Whether a further request can follow: what is left of this one's body decides.

    Nothing follows a refused body in chunks: where such a one ends is what attackers play with.
    """
    connection = request.connection
    if not request.keep_alive or connection.is_ending:
        return False
    if not has_body(request):
        return True
    if request.message.chunked and status >= HTTPStatus.BAD_REQUEST:
        return False
    if request.content.is_eof():
        return True
    if request.awaits_invitation:
        connection.expect_no_more()
        return False
    length = request.headers.get("Content-Length")
    return length is not None and int(length) - request.content.total_bytes <= SMALL_REST
