"""A whole server on the test's event loop, uvloop as in earnest."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop

from registry_server.app import start
from registry_server.settings import Settings

Address = tuple[str, int]
Serve = Callable[..., Awaitable[Address]]


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start servers by sections of the configuration; all are drained at the end."""
    async with AsyncExitStack() as servers:

        async def begin(**sections: Any) -> Address:
            document = {"storage": {"driver": "memory"}, "log": {"accesslog": {"disabled": True}}}
            listener = socket.create_server(("127.0.0.1", 0))
            running = await start(Settings.model_validate(document | sections), [listener])
            servers.push_async_callback(running.drain)
            host, port = listener.getsockname()
            return host, port

        yield begin
