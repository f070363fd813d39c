"""The services of accounts, put together over one database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from registry_server.hub.accounts.access_tokens import AccessTokens
from registry_server.hub.accounts.identities import Directory
from registry_server.hub.accounts.links import Links
from registry_server.hub.accounts.logins import Logins
from registry_server.hub.accounts.passwords import Passwords
from registry_server.hub.accounts.robots import Robots
from registry_server.hub.accounts.second_factor import SecondFactor
from registry_server.hub.accounts.sessions import Sessions
from registry_server.hub.accounts.signing_in import SignIn
from registry_server.hub.accounts.users import CheckName, Users
from registry_server.hub.database import open_by_operator as open_database_by_operator
from registry_server.limits import Limits, LoginLimit
from registry_server.settings import Settings
from registry_server.settings.hub import HubSettings
from registry_storage.databases import Database


@dataclass(frozen=True, slots=True)
class Accounts:
    """Everything about people and programs."""

    users: Users
    logins: Logins
    sign_in: SignIn
    sessions: Sessions
    second_factor: SecondFactor
    links: Links
    access_tokens: AccessTokens
    robots: Robots


async def open_by_operator(settings: Settings, resources: AsyncExitStack) -> Accounts:
    """Open the hub's database for a command, which may run while the hub is served.

    Raises `ConfigurationInvalid`, `CatalogError`, `CatalogUnavailable`, `NoSpace`.
    """
    hub, database = await open_database_by_operator(settings, resources)
    return open_accounts(database, hub, Limits.of_process().logins, resources, _any_name)


async def _any_name(name: str) -> None:
    """An operator knows what they do."""


def open_accounts(
    database: Database,
    settings: HubSettings,
    limit: LoginLimit,
    resources: AsyncExitStack,
    check_name: CheckName,
    directories: Sequence[Directory] = (),
) -> Accounts:
    """Those of an open database; what has to be closed again goes to `resources`."""
    passwords = Passwords(settings.passwords)
    resources.callback(passwords.close)
    users = Users(database, passwords, settings.registration, limit, check_name)
    sessions = Sessions(database, settings.sessions)
    second_factor = SecondFactor(database, settings.service)
    links = Links(database, passwords)
    logins = Logins(database, passwords, users, sessions, limit, directories)
    return Accounts(
        users=users,
        logins=logins,
        sign_in=SignIn(logins, sessions, second_factor, links, users, limit),
        sessions=sessions,
        second_factor=second_factor,
        links=links,
        access_tokens=AccessTokens(database),
        robots=Robots(database),
    )
