"""The rows of who users are elsewhere."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.records.users import User
from registry_server.hub.records.users import columns as user_columns
from registry_server.hub.records.users import read as read_user
from registry_server.hub.tables import identities, users

_FIND = (
    select(*user_columns)
    .join(identities, identities.c.user_id == users.c.id)
    .where(identities.c.issuer == bindparam("issuer"), identities.c.subject == bindparam("subject"))
)
_ADD = insert(identities)


def find_user(tx: Connection, issuer: str, subject: str) -> User | None:
    """Who that is here, disabled or not."""
    row = tx.execute(_FIND, {"issuer": issuer, "subject": subject}).first()
    return read_user(row) if row else None


def add(tx: Connection, user_id: int, issuer: str, subject: str) -> None:
    """That is who the user is there."""
    tx.execute(_ADD, {"user_id": user_id, "issuer": issuer, "subject": subject})
