"""`registry-server repo`: repositories of the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from registry_server.cli.holdings import Public, visibility_of, with_holdings
from registry_server.cli.options import ConfigPath
from registry_server.cli.output import print_table, size_of, time_of
from registry_server.cli.paging import PAGE, read_all
from registry_storage.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from registry_server.hub.organisations.holdings import Holdings
    from registry_storage import RepositoryFacts

Name = Annotated[str, typer.Argument(help="The repository's name.", show_default=False)]

repositories = typer.Typer(no_args_is_help=True, help="Manage the hub's repositories.")


@repositories.command("list")
def list_repositories(
    path: ConfigPath = None,
    namespace: Annotated[
        Optional[str],  # noqa: UP045 -- typer reads the annotation at run time
        typer.Option(help="Only those of this user or organisation.", show_default=False),
    ] = None,
) -> None:
    """List the repositories."""
    from registry_server.hub.rights import Sight

    async def work(holdings: Holdings) -> list[RepositoryFacts]:
        return await read_all(
            lambda after: holdings.repositories.browse(
                Sight(everything=True), namespace=namespace, after=after, limit=PAGE
            ),
            lambda facts: facts.name,
        )

    headings = ("name", "visibility", "tags", "size", "pulls", "last pushed", "last pulled")
    print_table(headings, map(_row, with_holdings(path, work)))


def _row(facts: RepositoryFacts) -> tuple[str, ...]:
    return (
        facts.name,
        facts.visibility,
        str(facts.tags),
        size_of(facts.size),
        str(facts.pulls),
        time_of(facts.last_pushed_at),
        time_of(facts.last_pulled_at),
    )


@repositories.command()
def create(name: Name, path: ConfigPath = None, public: Public = None) -> None:
    """Make an empty repository, unless there is one; by default as its namespace has them."""
    from registry_server.hub.records.audit import OPERATOR

    visibility = None if public is None else visibility_of(public)
    with_holdings(path, lambda holdings: holdings.repositories.ensure(OPERATOR, name, visibility))


@repositories.command("set")
def set_repository(name: Name, path: ConfigPath = None, public: Public = None) -> None:
    """Make a repository public or private."""
    from registry_server.hub.records.audit import OPERATOR

    if public is None:
        raise ConfigurationInvalid("repo set: say --public or --private")
    visibility = visibility_of(public)
    with_holdings(
        path, lambda holdings: holdings.repositories.set_visibility(OPERATOR, name, visibility)
    )


@repositories.command()
def rename(
    name: Name,
    new_name: Annotated[str, typer.Argument(help="Its name from now on.", show_default=False)],
    path: ConfigPath = None,
) -> None:
    """Rename a repository, or transfer it to another namespace; pulls by its old name follow."""
    from registry_server.hub.records.audit import OPERATOR

    with_holdings(path, lambda holdings: holdings.repositories.rename(OPERATOR, name, new_name))


@repositories.command()
def delete(
    name: Name,
    path: ConfigPath = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a repository with all that it holds."""
    from registry_server.hub.records.audit import OPERATOR

    if not yes:
        typer.confirm(f"Delete {name} with all its images?", abort=True, err=True)
    with_holdings(path, lambda holdings: holdings.repositories.delete(OPERATOR, name))
