"""What commands about accounts share: the hub's database, open, and how rights are written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Optional, TypeVar

import typer

from registry_server.settings import Settings, load
from registry_storage.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from registry_server.hub.accounts import Accounts
    from registry_server.hub.roles import Limit

T = TypeVar("T")

DAY_SECONDS: Final = 86_400

Allowed = Annotated[
    list[str],
    typer.Option(
        "--allow",
        metavar="GLOB=ROLE",
        help="What it may do, such as 'team/**=read'; roles are read, write, maintain, admin. May "
        "be given several times.",
    ),
]
Days = Annotated[
    Optional[int],  # noqa: UP045 -- typer reads the annotation at run time
    typer.Option(min=1, help="It ends after so many days.", show_default=False),
]


def with_accounts(path: Path | None, work: Callable[[Accounts, Settings], Awaitable[T]]) -> T:
    """Do the work on the hub's database, whether or not the hub is being served."""
    from registry_server.hub.accounts import open_by_operator

    settings = load(path).settings

    async def run() -> T:
        async with AsyncExitStack() as resources:
            return await work(await open_by_operator(settings, resources), settings)

    return asyncio.run(run())


def parse_allowed(texts: list[str]) -> tuple[Limit, ...]:
    """Raises `ConfigurationInvalid`."""
    from registry_server.hub.roles import Limit, Role

    limits = []
    for text in texts:
        repositories, _, role = text.rpartition("=")
        if not repositories or role not in list(Role):
            raise ConfigurationInvalid(
                f"--allow {text}: not of the form GLOB=ROLE, such as 'team/**=read'"
            )
        limits.append(Limit(repositories, Role(role)))
    return tuple(limits)


def told(limits: tuple[Limit, ...] | None) -> str:
    """As `--allow` takes them."""
    if limits is None:
        return "everything that the user may"
    return " ".join(f"{limit.repositories}={limit.role}" for limit in limits) or "nothing"


def seconds_of(days: int | None) -> float | None:
    return None if days is None else float(days * DAY_SECONDS)
