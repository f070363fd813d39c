"""`registry-server org`: organisations of the hub, and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from registry_server.cli.holdings import with_holdings
from registry_server.cli.options import ConfigPath
from registry_server.cli.output import print_table, time_of
from registry_server.cli.paging import PAGE, read_all
from registry_storage.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from registry_server.hub.organisations.holdings import Holdings
    from registry_server.hub.records.members import MemberRow
    from registry_server.hub.records.namespaces import NamespaceRow
    from registry_server.hub.roles import Role

_NO_ROLE = "none"

Name = Annotated[str, typer.Argument(help="The organisation's name.", show_default=False)]
User = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]

organisations = typer.Typer(no_args_is_help=True, help="Manage the hub's organisations.")
members = typer.Typer(no_args_is_help=True, help="Manage who is in an organisation.")
organisations.add_typer(members, name="member")


@organisations.command()
def create(
    name: Name,
    path: ConfigPath = None,
    admin: Annotated[
        Optional[str],  # noqa: UP045 -- typer reads the annotation at run time
        typer.Option(metavar="USER", help="Who administers it.", show_default=False),
    ] = None,
    full_name: Annotated[str, typer.Option(help="What people call it.")] = "",
    description: Annotated[str, typer.Option(help="What it does.")] = "",
) -> None:
    """Make an organisation."""
    from registry_server.hub.organisations.organisations import user_id
    from registry_server.hub.records.audit import OPERATOR

    async def work(holdings: Holdings) -> None:
        account = None if admin is None else await holdings.database.read(user_id, admin)
        await holdings.organisations.create(
            OPERATOR, name, admin=account, full_name=full_name, description=description
        )

    with_holdings(path, work)


@organisations.command("list")
def list_organisations(path: ConfigPath = None) -> None:
    """List the organisations."""
    from registry_server.hub.records import namespaces

    async def work(holdings: Holdings) -> list[NamespaceRow]:
        return await read_all(
            lambda after: holdings.database.read(namespaces.organisations, after=after, limit=PAGE),
            lambda row: row.name,
        )

    rows = [
        (row.name, row.full_name, row.description, time_of(row.created_at))
        for row in with_holdings(path, work)
    ]
    print_table(("name", "full name", "description", "made"), rows)


@organisations.command()
def delete(name: Name, path: ConfigPath = None) -> None:
    """Delete an organisation that has no repositories, with its robots and teams."""
    from registry_server.hub.records.audit import OPERATOR

    with_holdings(path, lambda holdings: holdings.organisations.delete(OPERATOR, name))


@members.command("set")
def set_member(
    name: Name,
    user: User,
    path: ConfigPath = None,
    role: Annotated[
        str,
        typer.Option(
            help="On all its repositories: read, write, maintain, admin; or none, but by teams "
            "and grants."
        ),
    ] = _NO_ROLE,
) -> None:
    """Make a user a member with exactly that role."""
    from registry_server.hub.organisations.organisations import put_member
    from registry_server.hub.records.audit import OPERATOR

    given = _parse_role(role)
    with_holdings(
        path, lambda holdings: holdings.database.write(put_member, OPERATOR, name, user, given)
    )


@members.command("list")
def list_members(name: Name, path: ConfigPath = None) -> None:
    """List who is in an organisation."""
    from registry_server.hub.organisations.organisations import find
    from registry_server.hub.records.members import page as page_of

    async def work(holdings: Holdings) -> list[MemberRow]:
        await holdings.database.read(find, name)
        return await read_all(
            lambda after: holdings.database.read(page_of, name, after=after, limit=PAGE),
            lambda row: row.user,
        )

    rows = [
        (row.user, row.full_name, row.role or "", row.source, time_of(row.created_at))
        for row in with_holdings(path, work)
    ]
    print_table(("user", "full name", "role", "follows", "since"), rows)


@members.command()
def remove(name: Name, user: User, path: ConfigPath = None) -> None:
    """End a membership, with all that the user was given in the organisation."""
    from registry_server.hub.organisations.organisations import remove_member
    from registry_server.hub.records.audit import OPERATOR

    with_holdings(
        path, lambda holdings: holdings.database.write(remove_member, OPERATOR, name, user)
    )


def _parse_role(text: str) -> Role | None:
    from registry_server.hub.roles import Role

    if text == _NO_ROLE:
        return None
    if text not in list(Role):
        raise ConfigurationInvalid(
            f"--role {text}: use {', '.join(Role)}, or {_NO_ROLE} for none on all repositories"
        )
    return Role(text)
