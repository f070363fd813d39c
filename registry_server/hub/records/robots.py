"""The rows of robots: accounts of programs.  Times are milliseconds since the epoch.

A robot is called `namespace+name`, and may do nothing outside its namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.errors import Conflict, Taken, Unknown
from registry_server.hub.records import limits as limits_column
from registry_server.hub.records import refresh_tokens
from registry_server.hub.roles import Limit
from registry_server.hub.tables import namespaces, users
from registry_server.hub.tables import robots as table
from registry_storage.databases import db_now

MAX_OF_ONE_NAMESPACE = 500


@dataclass(frozen=True, slots=True)
class Robot:
    """One as the admins of its namespace may see it."""

    id: int
    namespace: str
    name: str
    description: str
    limits: tuple[Limit, ...]
    """What it may do."""
    created_at: int
    expires_at: int | None
    disabled_at: int | None
    used_at: int | None
    used_from: str

    @property
    def login(self) -> str:
        """The name that it logs in by."""
        return f"{self.namespace}+{self.name}"


@dataclass(frozen=True, slots=True)
class NewRobot:
    """One that is to be made."""

    namespace: str
    name: str
    hash: bytes
    limits: tuple[Limit, ...]
    description: str = ""
    lifetime: int | None = None
    """None: until it is deleted."""


_columns = (
    table.c.id,
    table.c.namespace,
    table.c.name,
    table.c.description,
    table.c.limits,
    table.c.created_at,
    table.c.expires_at,
    table.c.disabled_at,
    table.c.used_at,
    table.c.used_from,
)
_IS_VALID = (
    (table.c.expires_at.is_(None) | (table.c.expires_at > db_now()))
    & table.c.disabled_at.is_(None)
    & (users.c.disabled_at.is_(None))
)
"""The robots of a user end with the user."""
_VALID = (
    select(*_columns, db_now())
    .join(namespaces, namespaces.c.name == table.c.namespace)
    .outerjoin(users, users.c.id == namespaces.c.user_id)
    .where(_IS_VALID)
)
_BY_HASH = _VALID.where(table.c.hash == bindparam("hash"))
_BY_ID = _VALID.where(table.c.id == bindparam("robot_id"))
_IN_NAMESPACE = table.c.namespace == bindparam("namespace")
_FIND = select(*_columns).where(_IN_NAMESPACE, table.c.name == bindparam("name"))
_PAGE = (
    select(*_columns)
    .where(_IN_NAMESPACE, table.c.name > bindparam("after"))
    .order_by(table.c.name)
    .limit(bindparam("limit"))
)
_COUNT = select(func.count()).select_from(table).where(_IN_NAMESPACE)
_HAS_NAMESPACE = select(namespaces.c.name).where(namespaces.c.name == bindparam("namespace"))
_ADD = insert(table).on_conflict_do_nothing(index_elements=[table.c.namespace, table.c.name])
_USED = (
    update(table)
    .where(table.c.id == bindparam("robot_id"))
    .values(used_at=db_now(), used_from=bindparam("origin"))
)


def add(tx: Connection, new: NewRobot) -> Robot:
    """A new one.  Raises `Unknown`, `Taken`, `Conflict`."""
    place = {"namespace": new.namespace}
    if tx.execute(_HAS_NAMESPACE.with_for_update(), place).first() is None:
        raise Unknown(f"there is no user or organisation {new.namespace}")
    if tx.execute(_COUNT, place).scalar_one() >= MAX_OF_ONE_NAMESPACE:
        raise Conflict(f"{new.namespace} has {MAX_OF_ONE_NAMESPACE} robots already; delete some")
    values = {
        "namespace": new.namespace,
        "name": new.name,
        "hash": new.hash,
        "description": new.description,
        "limits": limits_column.written(new.limits),
        "expires_at": None if new.lifetime is None else db_now() + new.lifetime,
    }
    row = tx.execute(_ADD.values(values).returning(*_columns)).first()
    if row is None:
        raise Taken(f"{new.namespace} has a robot {new.name} already; choose another name")
    return _read(row)


def by_hash(tx: Connection, hashed: bytes) -> tuple[Robot, int] | None:
    """The valid one with that hash, and the database's time."""
    return _with_time(tx.execute(_BY_HASH, {"hash": hashed}).first())


def by_id(tx: Connection, robot_id: int) -> tuple[Robot, int] | None:
    """The valid one with that id, and the database's time."""
    return _with_time(tx.execute(_BY_ID, {"robot_id": robot_id}).first())


def find(tx: Connection, namespace: str, name: str) -> Robot | None:
    """The one of that name, valid or not."""
    row = tx.execute(_FIND, {"namespace": namespace, "name": name}).first()
    return _read(row) if row else None


def page(tx: Connection, namespace: str, after: str, limit: int) -> list[Robot]:
    """The next ones of a namespace by name."""
    place = {"namespace": namespace, "after": after, "limit": limit}
    return [_read(row) for row in tx.execute(_PAGE, place)]


def used(tx: Connection, robot_id: int, origin: str) -> None:
    """It was used just now, from the address `origin`."""
    tx.execute(_USED, {"robot_id": robot_id, "origin": origin})


def change(tx: Connection, robot_id: int, limits: tuple[Limit, ...], description: str) -> None:
    """It may do that from now on."""
    values = {"limits": limits_column.written(limits), "description": description}
    tx.execute(update(table).where(_is(robot_id)).values(values))


def set_disabled(tx: Connection, robot_id: int, is_disabled: bool) -> None:
    """Whether its secret is refused; the logins that it has are revoked then."""
    disabled_at = db_now() if is_disabled else None
    tx.execute(update(table).where(_is(robot_id)).values(disabled_at=disabled_at))
    if is_disabled:
        refresh_tokens.revoke_of_robot(tx, robot_id)


def set_secret(tx: Connection, robot_id: int, hashed: bytes) -> None:
    """Another secret; the old one and the logins by it are no longer good."""
    tx.execute(update(table).where(_is(robot_id)).values(hash=hashed))
    refresh_tokens.revoke_of_robot(tx, robot_id)


def drop(tx: Connection, robot_id: int) -> None:
    """It is gone, with the logins that it has."""
    refresh_tokens.revoke_of_robot(tx, robot_id)
    tx.execute(delete(table).where(_is(robot_id)))


def _is(robot_id: int) -> ColumnElement[bool]:
    return table.c.id == robot_id


def _with_time(row: Any) -> tuple[Robot, int] | None:
    return None if row is None else (_read(row[:-1]), row[-1])


def _read(row: Any) -> Robot:
    robot_id, namespace, name, description, limits, *others = row
    return Robot(robot_id, namespace, name, description, limits_column.read(limits), *others)
