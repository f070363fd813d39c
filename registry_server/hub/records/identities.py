"""Who users are elsewhere, and what the groups that they have there make of them here."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.records.users import User
from registry_server.hub.records.users import columns as user_columns
from registry_server.hub.records.users import read as read_user
from registry_server.hub.roles import Role
from registry_server.hub.tables import identities, members, namespaces, users

_FIND = (
    select(*user_columns)
    .join(identities, identities.c.user_id == users.c.id)
    .where(identities.c.issuer == bindparam("issuer"), identities.c.subject == bindparam("subject"))
)
_ADD = insert(identities)
_OF_USER = (
    select(identities.c.issuer, identities.c.subject)
    .where(identities.c.user_id == bindparam("user_id"))
    .order_by(identities.c.issuer, identities.c.subject)
)
_ORGANISATIONS = select(namespaces.c.name).where(
    namespaces.c.user_id.is_(None), namespaces.c.name.in_(bindparam("names", expanding=True))
)
_new = insert(members)
_JOIN = _new.on_conflict_do_update(
    index_elements=[members.c.namespace, members.c.user_id],
    set_={"role": _new.excluded.role},
    where=members.c.source == _new.excluded.source,
)
"""A membership that somebody gave by hand is left as it is."""


def find_user(tx: Connection, issuer: str, subject: str) -> User | None:
    """Who that is here, disabled or not."""
    row = tx.execute(_FIND, {"issuer": issuer, "subject": subject}).first()
    return read_user(row) if row else None


def add(tx: Connection, user_id: int, issuer: str, subject: str) -> None:
    """That is who the user is there."""
    tx.execute(_ADD, {"user_id": user_id, "issuer": issuer, "subject": subject})


def of_user(tx: Connection, user_id: int) -> list[tuple[str, str]]:
    """Issuers, and what they call the user."""
    return [(row.issuer, row.subject) for row in tx.execute(_OF_USER, {"user_id": user_id})]


def follow_groups(tx: Connection, user_id: int, source: str, roles: Mapping[str, Role]) -> None:
    """Be a member, because of `source`, of those organisations of `roles` that there are."""
    there = set(tx.scalars(_ORGANISATIONS, {"names": sorted(roles)}))
    left = (
        delete(members)
        .where(members.c.user_id == user_id, members.c.source == source)
        .where(members.c.namespace.not_in(sorted(there)))
    )
    tx.execute(left)
    for name in sorted(there):
        row = {"namespace": name, "user_id": user_id, "role": roles[name].value, "source": source}
        tx.execute(_JOIN, row)
