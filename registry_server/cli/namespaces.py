"""`registry-server namespace`: how the repositories of an owner begin, and what they may hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from registry_server.cli.holdings import Public, visibility_of, with_holdings
from registry_server.cli.options import ConfigPath
from registry_server.cli.output import print_table, size_of
from registry_storage.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from registry_server.hub.organisations.spaces import Space

Name = Annotated[
    str, typer.Argument(help="The user or organisation that has it.", show_default=False)
]
Most = Optional[int]  # noqa: UP045 -- typer reads the annotation at run time

namespaces = typer.Typer(no_args_is_help=True, help="Manage the hub's namespaces.")


@namespaces.command()
def show(name: Name, path: ConfigPath = None) -> None:
    """Show how a namespace's repositories begin, what they may hold, and what they hold."""
    space: Space = with_holdings(path, lambda holdings: holdings.spaces.find(name))
    settings, usage = space.settings, space.usage
    rows = [
        ("new repositories", settings.default_visibility, ""),
        ("bytes", size_of(usage.bytes), _limit(settings.max_bytes, size_of)),
        ("repositories", str(usage.repositories), _limit(settings.max_repositories, str)),
    ]
    print_table((name, "now", "at most"), rows)


@namespaces.command("set")
def set_namespace(name: Name, path: ConfigPath = None, public: Public = None) -> None:
    """Say whether repositories that are made in a namespace begin public or private."""
    from registry_server.hub.records.audit import OPERATOR

    if public is None:
        raise ConfigurationInvalid("namespace set: say --public or --private")
    visibility = visibility_of(public)
    with_holdings(
        path, lambda holdings: holdings.spaces.set_default_visibility(OPERATOR, name, visibility)
    )


@namespaces.command()
def quota(
    name: Name,
    path: ConfigPath = None,
    max_bytes: Annotated[
        Most, typer.Option("--bytes", min=0, help="Of distinct content.", show_default="no limit")
    ] = None,
    max_repositories: Annotated[
        Most, typer.Option("--repositories", min=0, show_default="no limit")
    ] = None,
) -> None:
    """Say what a namespace may hold from now on; what is left out has no limit."""
    from registry_server.hub.records.audit import OPERATOR

    with_holdings(
        path,
        lambda holdings: holdings.spaces.set_quota(
            OPERATOR, name, max_bytes=max_bytes, max_repositories=max_repositories
        ),
    )


def _limit(most: int | None, told: Callable[[int], str]) -> str:
    return "no limit" if most is None else told(most)
