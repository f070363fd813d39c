"""The rows of users, each with a namespace of that name.  Times are milliseconds of the epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.errors import Conflict, Taken
from registry_server.hub.records import access_tokens, links, refresh_tokens, sessions
from registry_server.hub.tables import namespaces
from registry_server.hub.tables import users as table
from registry_storage.databases import db_now


@dataclass(frozen=True, slots=True)
class NewUser:
    """Somebody who is to get an account."""

    name: str
    password_hash: str | None = field(default=None, repr=False)
    """None: they log in elsewhere, or choose a password by a link."""
    is_admin: bool = False
    full_name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has one."""

    id: int
    name: str
    full_name: str
    email: str
    password_hash: str | None = field(repr=False)
    is_admin: bool
    created_at: int
    disabled_at: int | None
    last_seen_at: int | None
    second_factor_since: int | None
    """None: a password is enough."""

    @property
    def is_disabled(self) -> bool:
        return self.disabled_at is not None

    @property
    def has_second_factor(self) -> bool:
        return self.second_factor_since is not None


columns = (
    table.c.id,
    table.c.name,
    table.c.full_name,
    table.c.email,
    table.c.password_hash,
    table.c.is_admin,
    table.c.created_at,
    table.c.disabled_at,
    table.c.last_seen_at,
    table.c.totp_confirmed_at,
)
"""Of a `User`, in its order."""

IS_ENABLED = table.c.disabled_at.is_(None)

_IS_USER = table.c.id == bindparam("user_id")
_BY_NAME = select(*columns).where(table.c.name == bindparam("name"))
_BY_ID = select(*columns).where(_IS_USER)
_PAGE = (
    select(*columns)
    .where(table.c.name > bindparam("after"))
    .order_by(table.c.name)
    .limit(bindparam("limit"))
)
_ADD = insert(table).on_conflict_do_nothing().returning(*columns)
_NAME = insert(namespaces).on_conflict_do_nothing().returning(namespaces.c.name)
_IS_ADMIN = table.c.is_admin & IS_ENABLED
_HAS_ADMIN = select(exists().where(_IS_ADMIN))
_LOCK_ADMINS = select(table.c.id).where(_IS_ADMIN).order_by(table.c.id).with_for_update()
_SEEN = update(table).where(_IS_USER).values(last_seen_at=db_now())
_SET_PASSWORD = update(table).where(_IS_USER).values(password_hash=bindparam("hash"))
_REHASH = _SET_PASSWORD.where(table.c.password_hash == bindparam("old"))


def read(row: Sequence[Any]) -> User:
    """The user of a row of `columns`."""
    return User(*row)


def create(tx: Connection, new: NewUser) -> User:
    """A new one, with the namespace of that name.  Raises `Taken`."""
    values = {
        "name": new.name,
        "password_hash": new.password_hash,
        "is_admin": new.is_admin,
        "full_name": new.full_name,
        "email": new.email,
    }
    row = tx.execute(_ADD, values).first()
    name = {"name": new.name, "user_id": row.id if row else None}
    if row is None or tx.execute(_NAME, name).first() is None:
        raise Taken(f"the name {new.name} is taken; choose another")
    return read(row)


def find(tx: Connection, name: str) -> User | None:
    """The one of that name, disabled or not."""
    row = tx.execute(_BY_NAME, {"name": name}).first()
    return read(row) if row else None


def get(tx: Connection, user_id: int) -> User | None:
    """The one with that id, disabled or not."""
    row = tx.execute(_BY_ID, {"user_id": user_id}).first()
    return read(row) if row else None


def page(tx: Connection, after: str, limit: int) -> list[User]:
    """The next ones by name."""
    return [read(row) for row in tx.execute(_PAGE, {"after": after, "limit": limit})]


def has_admin(tx: Connection) -> bool:
    """Whether anybody administers the hub."""
    return tx.execute(_HAS_ADMIN).scalar_one()


def seen(tx: Connection, user_id: int) -> None:
    """They are here just now."""
    tx.execute(_SEEN, {"user_id": user_id})


def describe(tx: Connection, user_id: int, full_name: str, email: str) -> None:
    """How they are called and where they are reached."""
    tx.execute(update(table).where(_is(user_id)).values(full_name=full_name, email=email))


def set_password(tx: Connection, user_id: int, hashed: str, keep: str = "") -> None:
    """A new password ends the logins by the old one: all sessions but `keep`, and what clients
    keep in the password's place.  Links that would set it are void."""
    tx.execute(_SET_PASSWORD, {"user_id": user_id, "hash": hashed})
    end_logins(tx, user_id, keep)
    links.revoke_of_user(tx, user_id)


def rehash(tx: Connection, user_id: int, old: str, new: str) -> None:
    """Keep the same password better, if nobody has set another meanwhile."""
    tx.execute(_REHASH, {"user_id": user_id, "old": old, "hash": new})


def end_logins(tx: Connection, user_id: int, keep: str = "") -> None:
    """End all sessions but the one with the id `keep`, and all logins of clients by password."""
    sessions.revoke_of_user(tx, user_id, keep)
    refresh_tokens.revoke_by_password(tx, user_id)


def set_admin(tx: Connection, user_id: int, is_admin: bool) -> None:
    """Who becomes an administrator, or no longer is one, has to log in again.

    Raises `Conflict` where nobody would be left to administer the hub.
    """
    if not is_admin:
        _keep_an_admin(tx, user_id)
    tx.execute(update(table).where(_is(user_id)).values(is_admin=is_admin))
    end_logins(tx, user_id)


def disable(tx: Connection, user_id: int) -> None:
    """End everything that they hold; their name stays theirs.  Raises `Conflict` as `set_admin`."""
    _keep_an_admin(tx, user_id)
    tx.execute(update(table).where(_is(user_id), IS_ENABLED).values(disabled_at=db_now()))
    sessions.revoke_of_user(tx, user_id)
    refresh_tokens.revoke_of_user(tx, user_id)
    access_tokens.revoke_of_user(tx, user_id)
    links.revoke_of_user(tx, user_id)


def enable(tx: Connection, user_id: int) -> None:
    """They may log in again; what was ended stays so."""
    tx.execute(update(table).where(_is(user_id)).values(disabled_at=None))


def _keep_an_admin(tx: Connection, user_id: int) -> None:
    """Of two administrators who end each other at once, the second sees the first."""
    if list(tx.scalars(_LOCK_ADMINS)) == [user_id]:
        raise Conflict("this is the last administrator; make somebody else one before")


def _is(user_id: int) -> ColumnElement[bool]:
    return table.c.id == user_id
