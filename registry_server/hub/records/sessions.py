"""The rows of sessions, of which browsers hold a secret.  Times are milliseconds since the epoch.

One ends when it was not used for a while (`idle`), and in any case at `expires_at`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from registry_server.hub.tables import sessions as table
from registry_server.hub.tables import users
from registry_storage.databases import db_now

MAX_USER_AGENT = 300


@dataclass(frozen=True, slots=True)
class Session:
    """A login as its user may see it."""

    id: str
    user_id: int
    created_at: int
    seen_at: int
    expires_at: int
    origin: str
    """The address that it was begun from."""
    user_agent: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """One that is to begin."""

    id: str
    hash: bytes
    user_id: int
    lifetime: int
    origin: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Owned:
    """A valid session, and its user as they are now."""

    session: Session
    user_name: str
    is_admin: bool
    now: int


_columns = (
    table.c.id,
    table.c.user_id,
    table.c.created_at,
    table.c.seen_at,
    table.c.expires_at,
    table.c.origin,
    table.c.user_agent,
)
_IS_VALID = (table.c.expires_at > db_now()) & (table.c.seen_at > db_now() - bindparam("idle"))
_BY_HASH = (
    select(*_columns, users.c.name, users.c.is_admin, db_now())
    .join(users, users.c.id == table.c.user_id)
    .where(table.c.hash == bindparam("hash"), _IS_VALID, users.c.disabled_at.is_(None))
)
_OF_USER = (
    select(*_columns)
    .where(table.c.user_id == bindparam("user_id"), _IS_VALID)
    .order_by(table.c.created_at.desc(), table.c.id)
)
_SEEN = update(table).where(table.c.id == bindparam("session_id")).values(seen_at=db_now())
_RENEW = (
    update(table)
    .where(table.c.id == bindparam("old_id"))
    .values(id=bindparam("new_id"), hash=bindparam("new_hash"), seen_at=db_now())
)
_DROP_EXPIRED = delete(table).where(table.c.expires_at <= db_now())


def begin(tx: Connection, new: NewSession) -> None:
    """A new one, good for `lifetime` milliseconds at most."""
    values = {
        "id": new.id,
        "hash": new.hash,
        "user_id": new.user_id,
        "origin": new.origin,
        "user_agent": new.user_agent[:MAX_USER_AGENT],
        "expires_at": db_now() + new.lifetime,
    }
    tx.execute(insert(table).values(values))
    tx.execute(_DROP_EXPIRED)


def find(tx: Connection, hashed: bytes, idle: int) -> Owned | None:
    """The valid one with that hash, of a user who is not disabled."""
    row = tx.execute(_BY_HASH, {"hash": hashed, "idle": idle}).first()
    return Owned(Session(*row[:-3]), *row[-3:]) if row else None


def seen(tx: Connection, session_id: str) -> None:
    """It was used just now."""
    tx.execute(_SEEN, {"session_id": session_id})


def renew(tx: Connection, old_id: str, new_id: str, new_hash: bytes) -> None:
    """The same session by another secret."""
    tx.execute(_RENEW, {"old_id": old_id, "new_id": new_id, "new_hash": new_hash})


def of_user(tx: Connection, user_id: int, idle: int) -> list[Session]:
    """A user's valid ones, the newest first."""
    return [Session(*row) for row in tx.execute(_OF_USER, {"user_id": user_id, "idle": idle})]


def revoke(tx: Connection, user_id: int, session_id: str) -> bool:
    """Whether the user had such a one; it has ended."""
    return _delete(tx, (table.c.user_id == user_id) & (table.c.id == session_id)) == 1


def revoke_by_hash(tx: Connection, hashed: bytes) -> None:
    """It has ended, if there was one."""
    _delete(tx, table.c.hash == hashed)


def revoke_of_user(tx: Connection, user_id: int, keep: str = "") -> int:
    """End all of a user's but the one with the id `keep`; their number."""
    return _delete(tx, (table.c.user_id == user_id) & (table.c.id != keep))


def _delete(tx: Connection, which: ColumnElement[bool]) -> int:
    return tx.execute(
        delete(table).where(which), execution_options={"preserve_rowcount": True}
    ).rowcount
