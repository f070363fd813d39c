"""`registry-server token`: personal access tokens of the hub's users."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from registry_server.cli.accounts import (
    Allowed,
    Days,
    parse_allowed,
    seconds_of,
    told,
    with_accounts,
)
from registry_server.cli.options import ConfigPath
from registry_server.cli.output import print_table, time_of
from registry_server.settings import Settings

if TYPE_CHECKING:
    from registry_server.hub.accounts import Accounts
    from registry_server.hub.records.access_tokens import AccessToken

User = Annotated[str, typer.Argument(help="Whose token it is.", show_default=False)]

tokens = typer.Typer(no_args_is_help=True, help="Manage the personal access tokens of users.")


@tokens.command()
def create(
    user: User,
    name: Annotated[
        str, typer.Argument(help="What the token is called in lists.", show_default=False)
    ],
    path: ConfigPath = None,
    allow: Allowed = [],  # noqa: B006 -- typer reads it at run time
    days: Days = None,
) -> None:
    """Make an access token, and print its secret, which is shown only now.

    Without `--allow` it may do all that its user may.
    """
    from registry_server.hub.records.audit import OPERATOR

    limits = parse_allowed(allow) or None

    async def work(accounts: Accounts, _: Settings) -> tuple[AccessToken, str]:
        owner = await accounts.users.find(user)
        return await accounts.access_tokens.create(
            OPERATOR, owner, name, limits=limits, lifetime=seconds_of(days)
        )

    token, secret = with_accounts(path, work)
    print(f"{token.id} may: {told(token.limits)}", file=sys.stderr)
    print(secret)


@tokens.command("list")
def list_tokens(user: User, path: ConfigPath = None) -> None:
    """List a user's access tokens."""

    async def work(accounts: Accounts, _: Settings) -> list[AccessToken]:
        return await accounts.access_tokens.of_user(await accounts.users.find(user))

    headings = ("id", "name", "may", "made", "ends", "last used", "from")
    print_table(headings, map(_row, with_accounts(path, work)))


def _row(token: AccessToken) -> tuple[str, ...]:
    return (
        token.id,
        token.name,
        told(token.limits),
        time_of(token.created_at),
        time_of(token.expires_at),
        time_of(token.used_at),
        token.used_from,
    )


@tokens.command()
def revoke(
    user: User,
    token_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The token's id, as listed.", show_default=False),
    ],
    path: ConfigPath = None,
) -> None:
    """Revoke an access token, and the logins that were got with it."""
    from registry_server.hub.records.audit import OPERATOR

    async def work(accounts: Accounts, _: Settings) -> None:
        owner = await accounts.users.find(user)
        await accounts.access_tokens.revoke(OPERATOR, owner, token_id)

    with_accounts(path, work)
