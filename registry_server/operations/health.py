"""`/livez`: this process answers.  `/readyz`: it can do its work, and wants more of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from registry_storage import Readiness

_ENDING = Readiness(problems=("shutting down",))


class Health:
    """Health of one process, for the load balancer before it."""

    def __init__(self, check: Callable[[], Awaitable[Readiness]]) -> None:
        self._check = check
        self.is_draining = False
        """Set when the process is about to end: it is not ready any more, and answers still."""

    def routes(self) -> list[web.RouteDef]:
        """HEAD is answered where GET is."""
        return [web.get("/livez", self._livez), web.get("/readyz", self._readyz)]

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        found = _ENDING if self.is_draining else await self._check()
        lines = [*(found.problems or ["ready"]), *found.notices]
        return web.Response(
            status=503 if found.problems else 200, text="".join(f"{line}\n" for line in lines)
        )
