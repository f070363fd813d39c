"""Failures on the wire, as a test asks for them: of the next requests of a kind, some in a row."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTROL = "/__control/"


@dataclass(slots=True)
class Fault:
    """What happens to requests."""

    kind: str
    """`status`: answered so at once; `answer`: the same, with `error` as the whole body; `reset`:
    the connection, at once; `lost`: done, then the connection is reset; `truncated`: done, then
    half the answer; `stall`: no answer."""
    match: str = ""
    """A regular expression of `METHOD /path` of the requests that it is for."""
    skip: int = 0
    """So many of them go well first."""
    times: int = 1_000_000
    status: int = 599
    error: str = "server failure"


@dataclass(slots=True)
class Faults:
    """Those to come.  `requests` counts every request since they were set."""

    pending: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    cleared: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, pending: list[Fault]) -> None:
        """Replace them all."""
        self.cleared.set()
        self.cleared = asyncio.Event()
        self.pending = pending
        self.requests = []

    def due(self, line: str) -> Fault | None:
        """The fault that this request meets."""
        self.requests.append(line)
        for fault in self.pending:
            if fault.times and re.search(fault.match, line):
                if fault.skip:
                    fault.skip -= 1
                else:
                    fault.times -= 1
                    return fault
        return None

    def middleware(self) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
        """Makes requests meet their faults; those of `/__control/` have none."""

        @web.middleware
        async def meet(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(CONTROL):
                return await handler(request)
            fault = self.due(f"{request.method} {request.path}")
            return await (self._meet(fault, request, handler) if fault else handler(request))

        return meet

    async def _meet(
        self, fault: Fault, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        if fault.kind == "status":
            return web.json_response({"error": fault.error}, status=fault.status)
        if fault.kind == "answer":
            return web.Response(text=fault.error, status=fault.status)
        if fault.kind == "stall":
            await self.cleared.wait()
        elif fault.kind == "truncated":
            request["truncated"] = True
            answer = await handler(request)
            if isinstance(answer, web.Response):
                await _send_half(request, answer)
        elif fault.kind == "lost":
            await handler(request)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


async def _send_half(request: web.Request, answer: web.Response) -> None:
    body = bytes(answer.body) if isinstance(answer.body, bytes | bytearray) else b""
    half = web.StreamResponse(status=answer.status, headers=answer.headers)
    half.content_length = len(body) + 1
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
