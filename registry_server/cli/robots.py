"""`registry-server robot`: accounts of programs on the hub."""

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
from registry_server.cli.paging import PAGE, read_all
from registry_server.settings import Settings
from registry_storage.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from registry_server.hub.accounts import Accounts
    from registry_server.hub.records.robots import Robot

Login = Annotated[
    str,
    typer.Argument(
        metavar="NAMESPACE+NAME",
        help="The name that the robot logs in by, such as team+ci.",
        show_default=False,
    ),
]

robots = typer.Typer(no_args_is_help=True, help="Manage the hub's robots.")


@robots.command()
def create(
    login: Login,
    path: ConfigPath = None,
    allow: Allowed = [],  # noqa: B006 -- typer reads it at run time
    days: Days = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Make a robot, and print its secret, which is shown only now."""
    from registry_server.hub.records.audit import OPERATOR

    namespace, name = _parse(login)
    limits = parse_allowed(allow or [f"{namespace}/**=read"])

    async def work(accounts: Accounts, _: Settings) -> tuple[Robot, str]:
        return await accounts.robots.create(
            OPERATOR,
            namespace,
            name,
            limits,
            description=description,
            lifetime=seconds_of(days),
        )

    robot, secret = with_accounts(path, work)
    print(f"{robot.login} may: {told(robot.limits)}", file=sys.stderr)
    print(secret)


@robots.command("list")
def list_robots(
    namespace: Annotated[
        str, typer.Argument(help="The user or organisation that has them.", show_default=False)
    ],
    path: ConfigPath = None,
) -> None:
    """List the robots of a namespace."""

    async def work(accounts: Accounts, _: Settings) -> list[Robot]:
        return await read_all(
            lambda after: accounts.robots.page(namespace, after, PAGE), lambda robot: robot.name
        )

    headings = ("name", "may", "description", "state", "ends", "last used", "from")
    print_table(headings, map(_row, with_accounts(path, work)))


def _row(robot: Robot) -> tuple[str, ...]:
    return (
        robot.login,
        told(robot.limits),
        robot.description,
        "disabled" if robot.disabled_at is not None else "",
        time_of(robot.expires_at),
        time_of(robot.used_at),
        robot.used_from,
    )


@robots.command()
def delete(login: Login, path: ConfigPath = None) -> None:
    """Delete a robot; its secret and its logins are no longer good."""
    from registry_server.hub.records.audit import OPERATOR

    namespace, name = _parse(login)

    async def work(accounts: Accounts, _: Settings) -> None:
        await accounts.robots.delete(OPERATOR, namespace, name)

    with_accounts(path, work)


def _parse(login: str) -> tuple[str, str]:
    namespace, plus, name = login.partition("+")
    if not plus:
        raise ConfigurationInvalid(f"{login}: robots are called NAMESPACE+NAME, such as team+ci")
    return namespace, name
