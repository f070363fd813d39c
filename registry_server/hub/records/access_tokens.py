"""The rows of personal access tokens.  Times are milliseconds since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.errors import Conflict, Taken
from registry_server.hub.records import limits as limits_column
from registry_server.hub.records import refresh_tokens
from registry_server.hub.roles import Limit
from registry_server.hub.tables import access_tokens as table
from registry_server.hub.tables import users
from registry_storage.databases import db_now

MAX_OF_ONE_USER = 200


@dataclass(frozen=True, slots=True)
class AccessToken:
    """One as its user may see it."""

    id: str
    user_id: int
    name: str
    limits: tuple[Limit, ...] | None
    """What it narrows its user's rights to; None: nothing less than all of them."""
    created_at: int
    expires_at: int | None
    used_at: int | None
    used_from: str


@dataclass(frozen=True, slots=True)
class NewAccessToken:
    """One that is to be made."""

    id: str
    hash: bytes
    user_id: int
    name: str
    limits: tuple[Limit, ...] | None
    lifetime: int | None
    """None: until it is revoked."""


@dataclass(frozen=True, slots=True)
class Owned:
    """A valid token, and its user as they are now."""

    token: AccessToken
    user_name: str
    is_admin: bool
    now: int


_columns = (
    table.c.id,
    table.c.user_id,
    table.c.name,
    table.c.limits,
    table.c.created_at,
    table.c.expires_at,
    table.c.used_at,
    table.c.used_from,
)
_IS_VALID = table.c.expires_at.is_(None) | (table.c.expires_at > db_now())
_OWNED = (
    select(*_columns, users.c.name, users.c.is_admin, db_now())
    .join(users, users.c.id == table.c.user_id)
    .where(_IS_VALID, users.c.disabled_at.is_(None))
)
_BY_HASH = _OWNED.where(table.c.hash == bindparam("hash"))
_BY_ID = _OWNED.where(table.c.id == bindparam("token_id"))
_OF_USER = select(*_columns).where(table.c.user_id == bindparam("user_id")).order_by(table.c.name)
_COUNT = select(func.count()).where(table.c.user_id == bindparam("user_id"))
_ADD = insert(table).on_conflict_do_nothing(index_elements=[table.c.user_id, table.c.name])
_USED = (
    update(table)
    .where(table.c.id == bindparam("token_id"))
    .values(used_at=db_now(), used_from=bindparam("origin"))
)


def add(tx: Connection, new: NewAccessToken) -> AccessToken:
    """A new one.  Raises `Taken`, `Conflict`."""
    if tx.execute(_COUNT, {"user_id": new.user_id}).scalar_one() >= MAX_OF_ONE_USER:
        raise Conflict(f"there are {MAX_OF_ONE_USER} access tokens already; revoke some")
    values = {
        "id": new.id,
        "hash": new.hash,
        "user_id": new.user_id,
        "name": new.name,
        "limits": None if new.limits is None else limits_column.written(new.limits),
        "expires_at": None if new.lifetime is None else db_now() + new.lifetime,
    }
    row = tx.execute(_ADD.values(values).returning(*_columns)).first()
    if row is None:
        raise Taken(f"there is an access token called {new.name} already; choose another name")
    return _read(row)


def find(tx: Connection, hashed: bytes) -> Owned | None:
    """The valid one with that hash, of a user who is not disabled."""
    return _owned(tx.execute(_BY_HASH, {"hash": hashed}).first())


def get(tx: Connection, token_id: str) -> Owned | None:
    """The valid one with that id, of a user who is not disabled."""
    return _owned(tx.execute(_BY_ID, {"token_id": token_id}).first())


def used(tx: Connection, token_id: str, origin: str) -> None:
    """It was used just now, from the address `origin`."""
    tx.execute(_USED, {"token_id": token_id, "origin": origin})


def of_user(tx: Connection, user_id: int) -> list[AccessToken]:
    """A user's, expired ones included, by name."""
    return [_read(row) for row in tx.execute(_OF_USER, {"user_id": user_id})]


def revoke(tx: Connection, user_id: int, token_id: str) -> bool:
    """Whether the user had such a one; it is no longer good, nor what was got with it."""
    which = (table.c.user_id == user_id) & (table.c.id == token_id)
    if tx.execute(select(table.c.id).where(which).with_for_update()).first() is None:
        return False
    refresh_tokens.revoke_of_access_token(tx, token_id)
    tx.execute(delete(table).where(which))
    return True


def revoke_of_user(tx: Connection, user_id: int) -> None:
    """Revoke all of a user's, and what was got with them."""
    for token in of_user(tx, user_id):
        revoke(tx, user_id, token.id)


def _owned(row: Any) -> Owned | None:
    return None if row is None else Owned(_read(row[:-3]), *row[-3:])


def _read(row: Any) -> AccessToken:
    token_id, user_id, name, limits, *others = row
    narrowed = None if limits is None else limits_column.read(limits)
    return AccessToken(token_id, user_id, name, narrowed, *others)
