"""A whole server on the test's event loop, uvloop as in earnest."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop

from registry_server import connections
from registry_server.app import Running, start
from registry_server.settings import Settings

Address = tuple[str, int]
Serve = Callable[..., Awaitable[Address]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def part_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep no idle connection when a server ends: every test would take a second longer."""
    monkeypatch.setattr(connections, "PARTING_SECONDS", 0.0)


async def begin(**sections: Any) -> tuple[Running, Address]:
    """Start a server by sections of the configuration; without any, it keeps nothing."""
    document = {"storage": {"driver": "memory"}, "log": {"accesslog": {"disabled": True}}}
    listener = socket.create_server(("127.0.0.1", 0))
    running = await start(Settings.model_validate(document | sections), [listener])
    host, port = listener.getsockname()
    return running, (host, port)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start servers as `begin` does; all are drained at the end."""
    async with AsyncExitStack() as servers:

        async def serve(**sections: Any) -> Address:
            running, address = await begin(**sections)
            servers.push_async_callback(running.drain)
            return address

        yield serve
