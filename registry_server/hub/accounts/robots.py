"""Robots: accounts of programs, which belong to a namespace and may do nothing outside it.

A robot logs in as `namespace+name` with its secret, which is shown once.
"""

from __future__ import annotations

from sqlalchemy import Connection

from registry_server.hub.accounts.checks import check_lifetime, check_limits_within, check_line
from registry_server.hub.errors import Unknown
from registry_server.hub.names import parse_account_name
from registry_server.hub.records import audit, robots
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.robots import NewRobot, Robot
from registry_server.hub.roles import Limit
from registry_server.hub.secrets import Prefix, hashed, new_secret
from registry_storage.databases import Database


class Robots:
    """Makes, lists, changes and deletes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        by: By,
        namespace: str,
        name: str,
        limits: tuple[Limit, ...],
        *,
        description: str = "",
        lifetime: float | None = None,
    ) -> tuple[Robot, str]:
        """A new one, which may do what `limits` say, and its secret.

        It ends after `lifetime` seconds, None: when it is deleted.  Raises `Invalid`, `Unknown`
        where there is no such namespace, `Taken`, `Conflict`.
        """
        parse_account_name(name)
        check_limits_within(limits, namespace)
        check_line("a description", description)
        secret = new_secret(Prefix.ROBOT)
        new = NewRobot(
            namespace, name, hashed(secret), limits, description, check_lifetime(lifetime)
        )
        return await self._database.write(_create, by, new), secret

    async def find(self, namespace: str, name: str) -> Robot:
        """Raises `Unknown`."""
        return await self._database.read(_find, namespace, name)

    async def page(self, namespace: str, after: str = "", limit: int = 100) -> list[Robot]:
        """The next ones of a namespace by name."""
        return await self._database.read(robots.page, namespace, after, limit)

    async def change(
        self, by: By, namespace: str, name: str, limits: tuple[Limit, ...], description: str
    ) -> None:
        """It may do that from now on.  Raises `Invalid`, `Unknown`."""
        check_limits_within(limits, namespace)
        check_line("a description", description)
        await self._database.write(_change, by, namespace, name, limits, description)

    async def set_disabled(self, by: By, namespace: str, name: str, is_disabled: bool) -> None:
        """Whether its secret is refused.  Raises `Unknown`."""
        await self._database.write(_set_disabled, by, namespace, name, is_disabled)

    async def renew_secret(self, by: By, namespace: str, name: str) -> str:
        """Another secret; the old one is no longer good.  Raises `Unknown`."""
        secret = new_secret(Prefix.ROBOT)
        await self._database.write(_set_secret, by, namespace, name, hashed(secret))
        return secret

    async def delete(self, by: By, namespace: str, name: str) -> None:
        """It is gone.  Raises `Unknown`."""
        await self._database.write(_delete, by, namespace, name)


def _find(tx: Connection, namespace: str, name: str) -> Robot:
    robot = robots.find(tx, namespace, name)
    if robot is None:
        raise Unknown(f"there is no robot {namespace}+{name}")
    return robot


def _create(tx: Connection, by: By, new: NewRobot) -> Robot:
    robot = robots.add(tx, new)
    _record(tx, by, "robot.created", robot)
    return robot


def _change(
    tx: Connection,
    by: By,
    namespace: str,
    name: str,
    limits: tuple[Limit, ...],
    description: str,
) -> None:
    robot = _find(tx, namespace, name)
    robots.change(tx, robot.id, limits, description)
    _record(tx, by, "robot.changed", robot)


def _set_disabled(tx: Connection, by: By, namespace: str, name: str, is_disabled: bool) -> None:
    robot = _find(tx, namespace, name)
    robots.set_disabled(tx, robot.id, is_disabled)
    _record(tx, by, "robot.disabled" if is_disabled else "robot.enabled", robot)


def _set_secret(tx: Connection, by: By, namespace: str, name: str, hashed: bytes) -> None:
    robot = _find(tx, namespace, name)
    robots.set_secret(tx, robot.id, hashed)
    _record(tx, by, "robot.secret-renewed", robot)


def _delete(tx: Connection, by: By, namespace: str, name: str) -> None:
    robot = _find(tx, namespace, name)
    robots.drop(tx, robot.id)
    _record(tx, by, "robot.deleted", robot)


def _record(tx: Connection, by: By, action: str, robot: Robot) -> None:
    audit.record(tx, by, Deed(action, f"robot:{robot.login}", robot.namespace))
