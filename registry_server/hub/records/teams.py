"""The rows of teams of organisations, and of who is in them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.roles import Role
from registry_server.hub.tables import grants, team_members, teams, users


@dataclass(frozen=True, slots=True)
class TeamRow:
    """A team of an organisation."""

    name: str
    description: str
    role: Role | None
    """On all repositories of the organisation; None: none but by grants."""
    members: int
    """How many."""
    created_at: int
    """Milliseconds since the epoch."""


_WIDE = (grants.c.team_id == teams.c.id) & (grants.c.repository == "")
_MEMBERS = select(func.count()).where(team_members.c.team_id == teams.c.id).scalar_subquery()
_TEAMS = (
    select(teams.c.name, teams.c.description, grants.c.role, _MEMBERS, teams.c.created_at)
    .outerjoin(grants, _WIDE)
    .where(teams.c.namespace == bindparam("organisation"))
)
_LIST = (
    _TEAMS.where(teams.c.name > bindparam("after")).order_by(teams.c.name).limit(bindparam("most"))
)
_ONE = _TEAMS.where(teams.c.name == bindparam("team"))
_ID = select(teams.c.id).where(
    teams.c.namespace == bindparam("organisation"), teams.c.name == bindparam("team")
)
_ADD = insert(teams).on_conflict_do_nothing()
_DESCRIBE = update(teams).where(teams.c.id == bindparam("team_key"))
_JOIN = insert(team_members).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
_LEAVE = (
    delete(team_members)
    .where(
        team_members.c.team_id == bindparam("team_key"),
        team_members.c.user_id == bindparam("member"),
    )
    .execution_options(preserve_rowcount=True)
)
_USERS = (
    select(users.c.name)
    .join(team_members, team_members.c.user_id == users.c.id)
    .where(team_members.c.team_id == bindparam("team_key"), users.c.name > bindparam("after"))
    .order_by(users.c.name)
    .limit(bindparam("most"))
)
_REMOVE = tuple(
    delete(table).where(column == bindparam("team_key"))
    for table, column in (
        (grants, grants.c.team_id),
        (team_members, team_members.c.team_id),
        (teams, teams.c.id),
    )
)


def team_id(tx: Connection, organisation: str, team: str) -> int | None:
    """The id of the team of that name."""
    return tx.scalar(_ID, {"organisation": organisation, "team": team})


def page(tx: Connection, organisation: str, *, after: str, limit: int) -> list[TeamRow]:
    """Those above `after`, by name."""
    parameters = {"organisation": organisation, "after": after, "most": limit}
    return [_team(*row) for row in tx.execute(_LIST, parameters)]


def find(tx: Connection, organisation: str, team: str) -> TeamRow | None:
    """The team of that name."""
    row = tx.execute(_ONE, {"organisation": organisation, "team": team}).first()
    return None if row is None else _team(*row)


def put(tx: Connection, organisation: str, team: str, description: str) -> int:
    """Make it, or describe it anew; its id."""
    row = {"namespace": organisation, "name": team, "description": description}
    tx.execute(_ADD, row)
    key = team_id(tx, organisation, team)
    assert key is not None
    tx.execute(_DESCRIBE.values(description=description), {"team_key": key})
    return key


def remove(tx: Connection, team: int) -> None:
    """Delete it, with what it was granted."""
    for statement in _REMOVE:
        tx.execute(statement, {"team_key": team})


def join(tx: Connection, team: int, member: int, source: str = "") -> bool:
    """Put the user into it; False: they were in it."""
    row = {"team_id": team, "user_id": member, "source": source}
    return bool(tx.execute(_JOIN, row).rowcount)


def leave(tx: Connection, team: int, member: int) -> bool:
    """Take the user out of it; were they in it?"""
    return bool(tx.execute(_LEAVE, {"team_key": team, "member": member}).rowcount)


def users_in(tx: Connection, team: int, *, after: str, limit: int) -> list[str]:
    """The names above `after` of who is in it."""
    return list(tx.scalars(_USERS, {"team_key": team, "after": after, "most": limit}))


def _team(name: str, description: str, role: str | None, count: int, created_at: int) -> TeamRow:
    return TeamRow(name, description, None if role is None else Role(role), count, created_at)
