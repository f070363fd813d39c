"""The rows of links that work once.  Times are milliseconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from registry_server.hub.tables import links as table
from registry_storage.databases import db_now


class Purpose(StrEnum):
    """What a link is for."""

    FIRST_ADMIN = "first-admin"
    INVITATION = "invitation"
    PASSWORD = "password"
    SECOND_FACTOR = "second-factor"
    """No link that anybody is sent: it stands for a right password until the code comes."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link as whoever made it may see it."""

    id: str
    purpose: Purpose
    user_id: int | None
    """Whose password it sets; None where it makes an account."""
    details: Mapping[str, Any]
    """What whoever it invites becomes."""
    made_by: str
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class NewLink:
    """One that is to be made."""

    id: str
    hash: bytes
    purpose: Purpose
    lifetime: int
    user_id: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    made_by: str = ""


_columns = (
    table.c.id,
    table.c.purpose,
    table.c.user_id,
    table.c.details,
    table.c.made_by,
    table.c.created_at,
    table.c.expires_at,
)
_IS_VALID = table.c.expires_at > db_now()
_HAS_HASH = table.c.hash == bindparam("hash")
_FIND = select(*_columns).where(_HAS_HASH, _IS_VALID)
_TAKE = delete(table).where(_HAS_HASH, _IS_VALID).returning(*_columns)
_DROP_EXPIRED = delete(table).where(table.c.expires_at <= db_now())
_OF_PURPOSE = (
    select(*_columns)
    .where(table.c.purpose == bindparam("purpose"), _IS_VALID)
    .order_by(table.c.created_at.desc(), table.c.id)
)


def add(tx: Connection, new: NewLink) -> None:
    """A new one, good for `lifetime` milliseconds."""
    values = {
        "id": new.id,
        "hash": new.hash,
        "purpose": new.purpose.value,
        "user_id": new.user_id,
        "details": dict(new.details),
        "made_by": new.made_by,
        "expires_at": db_now() + new.lifetime,
    }
    tx.execute(insert(table).values(values))
    tx.execute(_DROP_EXPIRED)


def find(tx: Connection, hashed: bytes) -> Link | None:
    """The valid one with that hash."""
    return _read(tx.execute(_FIND, {"hash": hashed}).first())


def take(tx: Connection, hashed: bytes) -> Link | None:
    """As `find`, and it is used up: of several who take it at once, one gets it."""
    return _read(tx.execute(_TAKE, {"hash": hashed}).first())


def of_purpose(tx: Connection, purpose: Purpose) -> list[Link]:
    """Those that nobody has used yet, the newest first."""
    rows = tx.execute(_OF_PURPOSE, {"purpose": purpose.value})
    return [link for row in rows if (link := _read(row)) is not None]


def revoke(tx: Connection, link_id: str) -> bool:
    """Whether there was such a one; it is void."""
    done = tx.execute(
        delete(table).where(table.c.id == link_id), execution_options={"preserve_rowcount": True}
    )
    return done.rowcount == 1


def revoke_of_user(tx: Connection, user_id: int) -> None:
    """Void all that would let somebody in as that user."""
    tx.execute(delete(table).where(table.c.user_id == user_id))


def revoke_of_purpose(tx: Connection, purpose: Purpose) -> None:
    """Void all that are for that."""
    tx.execute(delete(table).where(table.c.purpose == purpose.value))


def _read(row: Any) -> Link | None:
    if row is None:
        return None
    link_id, purpose, *others = row
    return Link(link_id, Purpose(purpose), *others)
