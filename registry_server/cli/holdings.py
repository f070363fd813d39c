"""What commands about organisations and repositories share: the hub's database and the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, TypeVar

import typer

from registry_server.settings import load

if TYPE_CHECKING:
    from registry_server.hub.organisations.holdings import Holdings
    from registry_storage import Visibility

T = TypeVar("T")

Public = Annotated[
    Optional[bool],  # noqa: UP045 -- typer reads the annotation at run time
    typer.Option("--public/--private", help="Whether everybody may pull.", show_default=False),
]


def with_holdings(path: Path | None, work: Callable[[Holdings], Awaitable[T]]) -> T:
    """Do the work on the hub's database and the store, whether or not they are being served."""
    from registry_server.hub.database import open_by_operator
    from registry_server.hub.organisations.holdings import Holdings
    from registry_server.store import open_store

    settings = load(path).settings

    async def run() -> T:
        async with AsyncExitStack() as resources:
            _, database = await open_by_operator(settings, resources)
            registry = await open_store(settings)
            resources.push_async_callback(registry.close)
            return await work(Holdings.over(database, registry))

    return asyncio.run(run())


def visibility_of(public: bool) -> Visibility:
    """What `--public` and `--private` stand for."""
    from registry_storage import Visibility

    return Visibility.PUBLIC if public else Visibility.PRIVATE
