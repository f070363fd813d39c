"""The rows of namespaces: one list of names for users and organisations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.errors import Taken
from registry_server.hub.tables import (
    grants,
    members,
    namespaces,
    refresh_tokens,
    robots,
    team_members,
    teams,
)


@dataclass(frozen=True, slots=True)
class NamespaceRow:
    """A namespace as it is kept."""

    name: str
    user_id: int | None
    """Its owner; None: it is an organisation."""
    full_name: str
    description: str
    created_at: int
    """Milliseconds since the epoch."""

    @property
    def is_organisation(self) -> bool:
        return self.user_id is None


_COLUMNS: Final = (
    namespaces.c.name,
    namespaces.c.user_id,
    namespaces.c.full_name,
    namespaces.c.description,
    namespaces.c.created_at,
)
_FIND = select(*_COLUMNS).where(namespaces.c.name == bindparam("wanted"))
_LOCK = _FIND.with_for_update()
_CLAIM = insert(namespaces).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_DESCRIBE = update(namespaces).where(namespaces.c.name == bindparam("wanted"))
_DELETE = delete(namespaces).where(namespaces.c.name == bindparam("wanted"))
_ORGANISATIONS = (
    select(*_COLUMNS)
    .where(namespaces.c.user_id.is_(None), namespaces.c.name > bindparam("after"))
    .order_by(namespaces.c.name)
    .limit(bindparam("most"))
)
_MINE = _ORGANISATIONS.where(
    exists().where(
        members.c.namespace == namespaces.c.name, members.c.user_id == bindparam("member")
    )
)
_DEPENDENTS: Final = (
    delete(refresh_tokens).where(
        refresh_tokens.c.robot_id.in_(
            select(robots.c.id).where(robots.c.namespace == bindparam("wanted"))
        )
    ),
    delete(robots).where(robots.c.namespace == bindparam("wanted")),
    delete(grants).where(grants.c.namespace == bindparam("wanted")),
    delete(team_members).where(
        team_members.c.team_id.in_(
            select(teams.c.id).where(teams.c.namespace == bindparam("wanted"))
        )
    ),
    delete(teams).where(teams.c.namespace == bindparam("wanted")),
    delete(members).where(members.c.namespace == bindparam("wanted")),
)


def find(tx: Connection, name: str) -> NamespaceRow | None:
    """The namespace, if there is one."""
    return _found(tx.execute(_FIND, {"wanted": name}).first())


def lock(tx: Connection, name: str) -> NamespaceRow | None:
    """As `find`; nobody else changes who may do what in it until the transaction ends."""
    return _found(tx.execute(_LOCK, {"wanted": name}).first())


def claim(
    tx: Connection,
    name: str,
    *,
    user_id: int | None = None,
    full_name: str = "",
    description: str = "",
) -> None:
    """Make it: a user's, or an organisation.  Raises `Taken`."""
    row = {
        "name": name,
        "user_id": user_id,
        "full_name": full_name,
        "description": description,
    }
    if not tx.execute(_CLAIM, row).rowcount:
        raise Taken(f"the name {name} is taken; choose another")


def describe(tx: Connection, name: str, full_name: str, description: str) -> None:
    """Say other things about it."""
    values = {"full_name": full_name, "description": description}
    tx.execute(_DESCRIBE.values(**values), {"wanted": name})


def release(tx: Connection, name: str) -> None:
    """Let the name go, with its members, teams, grants and robots."""
    for statement in (*_DEPENDENTS, _DELETE):
        tx.execute(statement, {"wanted": name})


def organisations(tx: Connection, *, after: str, limit: int) -> list[NamespaceRow]:
    """Of all organisations those above `after`, by name."""
    return _rows(tx, _ORGANISATIONS, _page(after, limit))


def organisations_of(tx: Connection, user_id: int, *, after: str, limit: int) -> list[NamespaceRow]:
    """Of those that the user is a member of."""
    return _rows(tx, _MINE, {**_page(after, limit), "member": user_id})


def _page(after: str, limit: int) -> dict[str, str | int]:
    return {"after": after, "most": limit}


def _rows(tx: Connection, question: Select[Any], parameters: dict[str, Any]) -> list[NamespaceRow]:
    return [NamespaceRow(*tuple(row)) for row in tx.execute(question, parameters)]


def _found(row: Any) -> NamespaceRow | None:
    return None if row is None else NamespaceRow(*row)
