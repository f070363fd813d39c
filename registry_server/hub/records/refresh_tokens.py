"""The rows of refresh tokens: logins of clients that keep no password.

Each is a user's or a robot's, and of a personal access token where it was got with one; it goes
when that goes.  Times are milliseconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from registry_server.hub.tables import refresh_tokens as table
from registry_storage.databases import db_now

MAX_OF_ONE_HOLDER = 200
"""More than so many logins of one account push out those that were not used for the longest."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose it is: a user's, with an access token or not, or a robot's."""

    user_id: int | None = None
    robot_id: int | None = None
    access_token_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewRefreshToken:
    """A login that has just happened."""

    id: str
    hash: bytes
    holder: Holder
    service: str
    client_id: str
    lifetime: int
    """Milliseconds from its last use."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A login as its holder may see it."""

    id: str
    holder: Holder
    service: str
    client_id: str
    created_at: int
    expires_at: int
    used_at: int | None
    used_from: str


_columns = (
    table.c.id,
    table.c.user_id,
    table.c.robot_id,
    table.c.access_token_id,
    table.c.service,
    table.c.client_id,
    table.c.created_at,
    table.c.expires_at,
    table.c.used_at,
    table.c.used_from,
)
_VALID = table.c.expires_at > db_now()
_BY_HASH = select(*_columns, db_now()).where(table.c.hash == bindparam("hash"), _VALID)
_USED = (
    update(table)
    .where(table.c.id == bindparam("token_id"))
    .values(
        used_at=db_now(), used_from=bindparam("origin"), expires_at=db_now() + bindparam("lifetime")
    )
)
_EXPIRED = delete(table).where(table.c.expires_at <= db_now())


def add(tx: Connection, new: NewRefreshToken) -> None:
    """Keep it."""
    values = {
        "id": new.id,
        "hash": new.hash,
        "user_id": new.holder.user_id,
        "robot_id": new.holder.robot_id,
        "access_token_id": new.holder.access_token_id,
        "service": new.service,
        "client_id": new.client_id,
        "expires_at": db_now() + new.lifetime,
    }
    tx.execute(insert(table).values(values))
    tx.execute(_EXPIRED)
    _push_out(tx, _of_account(new.holder))


def find(tx: Connection, hashed: bytes) -> tuple[RefreshToken, int] | None:
    """The valid one with that hash, and the database's time."""
    row = tx.execute(_BY_HASH, {"hash": hashed}).first()
    return (_read(row[:-1]), row[-1]) if row else None


def used(tx: Connection, token_id: str, origin: str, lifetime: int) -> None:
    """It was used just now, from the address `origin`: it is good for `lifetime` again."""
    tx.execute(_USED, {"token_id": token_id, "origin": origin, "lifetime": lifetime})


def of_user(tx: Connection, user_id: int) -> list[RefreshToken]:
    """A user's, the newest first."""
    return _list(tx, table.c.user_id == user_id)


def of_robot(tx: Connection, robot_id: int) -> list[RefreshToken]:
    """A robot's, the newest first."""
    return _list(tx, table.c.robot_id == robot_id)


def revoke(tx: Connection, user_id: int, token_id: str) -> bool:
    """Whether the user had such a one; it is no longer good."""
    return _delete(tx, (table.c.user_id == user_id) & (table.c.id == token_id)) == 1


def revoke_of_user(tx: Connection, user_id: int) -> int:
    """Revoke all of a user's; their number."""
    return _delete(tx, table.c.user_id == user_id)


def revoke_by_password(tx: Connection, user_id: int) -> int:
    """Revoke those of a user's that were got without an access token; their number."""
    by_password = table.c.access_token_id.is_(None)
    return _delete(tx, (table.c.user_id == user_id) & by_password)


def revoke_of_robot(tx: Connection, robot_id: int) -> int:
    """Revoke all of a robot's; their number."""
    return _delete(tx, table.c.robot_id == robot_id)


def revoke_of_access_token(tx: Connection, access_token_id: str) -> int:
    """Revoke all that were got with a personal access token; their number."""
    return _delete(tx, table.c.access_token_id == access_token_id)


def _list(tx: Connection, which: ColumnElement[bool]) -> list[RefreshToken]:
    newest_first = (table.c.created_at.desc(), table.c.id)
    rows = tx.execute(select(*_columns).where(which, _VALID).order_by(*newest_first))
    return [_read(row) for row in rows]


def _delete(tx: Connection, which: ColumnElement[bool]) -> int:
    return tx.execute(
        delete(table).where(which), execution_options={"preserve_rowcount": True}
    ).rowcount


def _of_account(holder: Holder) -> ColumnElement[bool]:
    if holder.robot_id is not None:
        return table.c.robot_id == holder.robot_id
    return table.c.user_id == holder.user_id


def _push_out(tx: Connection, which: ColumnElement[bool]) -> None:
    """Leave the newest `MAX_OF_ONE_HOLDER`: each use moves the end of one."""
    kept_longest = (table.c.expires_at.desc(), table.c.id)
    too_old = select(table.c.id).where(which).order_by(*kept_longest).offset(MAX_OF_ONE_HOLDER)
    _delete(tx, table.c.id.in_(list(tx.scalars(too_old))))


def _read(row: tuple[object, ...]) -> RefreshToken:
    token_id, user_id, robot_id, access_token_id, *others = row
    return RefreshToken(token_id, Holder(user_id, robot_id, access_token_id), *others)  # type: ignore[arg-type]
