"""`registry-server user`: people who have accounts on the hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry_server.cli.accounts import with_accounts
from registry_server.cli.options import ConfigPath
from registry_server.cli.output import print_table, time_of
from registry_server.cli.paging import PAGE, read_all
from registry_server.settings import Settings
from registry_storage.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from registry_server.hub.accounts import Accounts
    from registry_server.hub.records.users import User

Name = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]

users = typer.Typer(no_args_is_help=True, help="Manage the hub's users.")


@users.command()
def create(
    name: Name,
    path: ConfigPath = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    admin: Annotated[bool, typer.Option("--admin", help="The user administers the hub.")] = False,
    full_name: Annotated[str, typer.Option(help="What people call the user.")] = "",
    email: Annotated[str, typer.Option(help="Where the user is reached.")] = "",
) -> None:
    """Make a user. Without a password, a link is printed that lets them choose one."""
    from registry_server.hub.records.audit import OPERATOR

    password = _read_password() if password_stdin else None

    async def work(accounts: Accounts, settings: Settings) -> None:
        user = await accounts.users.create(
            OPERATOR, name, password, is_admin=admin, full_name=full_name, email=email
        )
        if password is None:
            await _print_link(accounts, settings, user)

    with_accounts(path, work)


@users.command("list")
def list_users(path: ConfigPath = None) -> None:
    """List the users."""

    async def work(accounts: Accounts, _: Settings) -> list[User]:
        return await read_all(
            lambda after: accounts.users.page(after, PAGE), lambda user: user.name
        )

    headings = ("name", "full name", "email", "state", "second factor", "made", "last seen")
    print_table(headings, map(_row, with_accounts(path, work)))


def _row(user: User) -> tuple[str, ...]:
    return (
        user.name,
        user.full_name,
        user.email,
        "disabled" if user.is_disabled else "admin" if user.is_admin else "",
        "yes" if user.has_second_factor else "",
        time_of(user.created_at),
        time_of(user.last_seen_at),
    )


@users.command()
def disable(name: Name, path: ConfigPath = None) -> None:
    """End a user's sessions, tokens and logins, and let them in no longer."""
    from registry_server.hub.records.audit import OPERATOR

    async def work(accounts: Accounts, _: Settings) -> None:
        await accounts.users.disable(OPERATOR, await accounts.users.find(name))

    with_accounts(path, work)


@users.command()
def enable(name: Name, path: ConfigPath = None) -> None:
    """Let a disabled user log in again; what was ended stays so."""
    from registry_server.hub.records.audit import OPERATOR

    async def work(accounts: Accounts, _: Settings) -> None:
        await accounts.users.enable(OPERATOR, await accounts.users.find(name))

    with_accounts(path, work)


@users.command()
def link(
    name: Name,
    path: ConfigPath = None,
    remove_second_factor: Annotated[
        bool,
        typer.Option("--remove-second-factor", help="The user has lost the second factor, too."),
    ] = False,
) -> None:
    """Print a link that works once and lets a user choose a new password."""
    from registry_server.hub.records.audit import OPERATOR

    async def work(accounts: Accounts, settings: Settings) -> None:
        user = await accounts.users.find(name)
        if remove_second_factor:
            await accounts.second_factor.remove(OPERATOR, user)
        await _print_link(accounts, settings, user)

    with_accounts(path, work)


@users.command("import")
def import_users(
    file: Annotated[Path, typer.Argument(help="The htpasswd file.", show_default=False)],
    path: ConfigPath = None,
) -> None:
    """Make a user of each line of an htpasswd file, with the password that they have there."""
    from registry_server.auth.htpasswd import parse_passwords
    from registry_server.hub.errors import HubError
    from registry_server.hub.records.audit import OPERATOR

    try:
        hashes = parse_passwords(file.read_text()).hashes
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid(f"{file}: {error}") from None

    async def work(accounts: Accounts, _: Settings) -> bool:
        works = True
        for name, hashed in hashes.items():
            try:
                await accounts.users.take_over(OPERATOR, name, hashed.decode("ascii"))
            except HubError as error:
                works = False
                print(f"registry-server: {error}", file=sys.stderr)
            else:
                print(name)
        return works

    if not with_accounts(path, work):
        raise typer.Exit(1)


async def _print_link(accounts: Accounts, settings: Settings, user: User) -> None:
    from registry_server.hub.first_admin import link_url
    from registry_server.hub.records.audit import OPERATOR

    print(link_url(settings, await accounts.links.for_password(OPERATOR, user)))


def _read_password() -> str:
    """All of standard input, but for the end of its line."""
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")
