"""`registry-server key`: what the hub signs tokens with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry_server.cli.options import ConfigPath
from registry_server.cli.output import print_table, time_of
from registry_server.settings import load

if TYPE_CHECKING:
    from registry_server.hub.records.keys import KeyRing, KeyRow
    from registry_server.hub.tokens.keys import SigningKeys

keys = typer.Typer(no_args_is_help=True, help="Manage the keys that the hub signs tokens with.")


@keys.command("list")
def list_keys(path: ConfigPath = None) -> None:
    """List the keys, the newest last."""
    ring = _with_keys(path, lambda _: asyncio.sleep(0))
    headings = ("key", "algorithm", "state", "signs from", "published until")
    print_table(headings, [_row(row, ring) for row in ring.rows])


def _row(row: KeyRow, ring: KeyRing) -> tuple[str, ...]:
    times = time_of(row.signs_from), time_of(row.published_until)
    return row.kid, row.algorithm, _state(row, ring), *times


def _state(row: KeyRow, ring: KeyRing) -> str:
    if row is ring.signing:
        return "signs"
    return "next" if row.signs_from > ring.now else "verifies"


@keys.command()
def rotate(path: ConfigPath = None) -> None:
    """Let a new key follow, which signs once every process knows it; no token fails meanwhile."""
    from registry_server.hub.records.audit import OPERATOR

    _with_keys(path, lambda signing: signing.rotate(OPERATOR))


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key, as listed.", show_default=False)],
    path: ConfigPath = None,
) -> None:
    """Take away a key that somebody else may have: what it signed is void within two minutes."""
    from registry_server.hub.records.audit import OPERATOR

    _with_keys(path, lambda signing: signing.revoke(OPERATOR, key))


def _with_keys(path: Path | None, work: Callable[[SigningKeys], Awaitable[None]]) -> KeyRing:
    """Do the work, whether or not the hub is being served; what there is then."""
    from registry_server.hub.tokens.keys import open_by_operator

    async def run() -> KeyRing:
        async with AsyncExitStack() as resources:
            signing = await open_by_operator(load(path).settings, resources)
            await work(signing)
            return signing.ring

    return asyncio.run(run())
