"""Answers outside the distribution API."""

from __future__ import annotations

import asyncio

from tests.server.conftest import Serve, begin
from tests.server.wire import Wire, request


async def test_pages_carry_the_headers_of_all_answers(serve: Serve) -> None:
    wire = await Wire.to(await serve(http={"headers": {"X-Configured": "yes"}}))
    for target, status in [("/livez", 200), ("/readyz", 200), ("/nothing", 404), ("/v2/", 200)]:
        wire.send(request("GET", target, "X-Request-Id: mine"))
        answer = await wire.answer()
        assert answer.status == status
        assert answer.headers["x-configured"] == "yes"
        assert answer.headers["x-request-id"] == "mine"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


async def test_who_drains_is_alive_but_not_ready() -> None:
    running, address = await begin()
    running._application.health.is_draining = True
    for target, status in [("/livez", 200), ("/readyz", 503)]:
        other = await Wire.to(address)
        other.send(request("GET", target))
        assert (await other.answer()).status == status
    await asyncio.wait_for(running.drain(), 10)
