"""The rows of grants: a role on a repository, or on all of a namespace, for a user or a team."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    delete,
    func,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.roles import Role
from registry_server.hub.tables import (
    grants,
    members,
    namespaces,
    team_members,
    teams,
    users,
)

Kept = dict[str, Any]
"""A grant that was taken and may have to be given back: the values of its row."""
EVERYTHING: Final = ""
"""In the place of a repository's name: all of the namespace."""


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A role that somebody was given."""

    repository: str
    """Within the namespace."""
    user: str | None
    team: str | None
    """One of the two."""
    role: Role


@dataclass(frozen=True, slots=True)
class Standing:
    """What a user is in a namespace."""

    belongs: bool
    """Whether it is theirs, or they are a member."""
    roles: tuple[Role, ...] = ()
    """All that they have been given that hold for what was asked about."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a user has been given any role."""

    namespaces: frozenset[str]
    """On all of them."""
    repositories: frozenset[str]
    """On those; by their full names."""


# What a user may do

_MY_TEAMS = select(team_members.c.team_id).where(team_members.c.user_id == bindparam("account"))
_MINE = (grants.c.user_id == bindparam("account")) | grants.c.team_id.in_(_MY_TEAMS)
_OWNED = select(namespaces.c.name, literal(Role.ADMIN.value).label("role")).where(
    namespaces.c.user_id == bindparam("account")
)
_JOINED = select(members.c.namespace, members.c.role).where(
    members.c.user_id == bindparam("account")
)
_STANDING = union_all(
    select(_OWNED.where(namespaces.c.name == bindparam("space")).subquery().c.role, literal(1)),
    select(_JOINED.where(members.c.namespace == bindparam("space")).subquery().c.role, literal(1)),
    select(grants.c.role, literal(0)).where(
        grants.c.namespace == bindparam("space"),
        grants.c.repository.in_([EVERYTHING, bindparam("within")]),
        _MINE,
    ),
)
_REACH = union_all(
    select(namespaces.c.name, literal(EVERYTHING)).where(
        namespaces.c.user_id == bindparam("account")
    ),
    select(members.c.namespace, literal(EVERYTHING)).where(
        members.c.user_id == bindparam("account"), members.c.role.is_not(None)
    ),
    select(grants.c.namespace, grants.c.repository).where(_MINE),
)


def standing(tx: Connection, account: int, namespace: str, within: str = EVERYTHING) -> Standing:
    """What the user is in a namespace, or in the repository `within` it."""
    parameters = {"account": account, "space": namespace, "within": within}
    rows = tx.execute(_STANDING, parameters).all()
    return Standing(
        belongs=any(belongs for _, belongs in rows),
        roles=tuple(Role(role) for role, _ in rows if role is not None),
    )


def reach(tx: Connection, account: int) -> Reach:
    """Where the user has any role."""
    rows = tx.execute(_REACH, {"account": account}).all()
    return Reach(
        frozenset(space for space, repository in rows if repository == EVERYTHING),
        frozenset(f"{space}/{repository}" for space, repository in rows if repository),
    )


# Giving and taking

_PUT: Final = {
    holder: insert(grants).on_conflict_do_update(
        index_elements=[grants.c.namespace, grants.c.repository, grants.c[holder]],
        set_={"role": insert(grants).excluded.role},
    )
    for holder in ("user_id", "team_id")
}
_ONE = (grants.c.namespace == bindparam("space")) & (grants.c.repository == bindparam("within"))
_TAKE: Final = {
    holder: delete(grants)
    .where(_ONE, grants.c[holder] == bindparam("holder"))
    .execution_options(preserve_rowcount=True)
    for holder in ("user_id", "team_id")
}
_HOLDER = func.coalesce(users.c.name, teams.c.name)
_LIST = (
    select(grants.c.repository, users.c.name, teams.c.name, grants.c.role)
    .outerjoin(users, users.c.id == grants.c.user_id)
    .outerjoin(teams, teams.c.id == grants.c.team_id)
    .where(grants.c.namespace == bindparam("space"))
    .order_by(grants.c.repository, grants.c.user_id.is_(None), _HOLDER)
)
_OF_REPOSITORY = _LIST.where(grants.c.repository == bindparam("within"))
_KEPT = (grants.c.repository, grants.c.user_id, grants.c.team_id, grants.c.role)
_MOVE = update(grants).where(_ONE)
_CLEAR = delete(grants).where(_ONE)


def give_user(tx: Connection, namespace: str, within: str, member: int, role: Role) -> None:
    """Give a user exactly that role on a repository, or on `EVERYTHING`."""
    tx.execute(_PUT["user_id"], _values(namespace, within, role, user_id=member))


def give_team(tx: Connection, namespace: str, within: str, team: int, role: Role) -> None:
    """Give a team exactly that role on a repository, or on `EVERYTHING`."""
    tx.execute(_PUT["team_id"], _values(namespace, within, role, team_id=team))


def take_from_user(tx: Connection, namespace: str, within: str, member: int) -> bool:
    """Take what the user was given there; was there anything?"""
    parameters = {"space": namespace, "within": within, "holder": member}
    return bool(tx.execute(_TAKE["user_id"], parameters).rowcount)


def take_from_team(tx: Connection, namespace: str, within: str, team: int) -> bool:
    """Take what the team was given there; was there anything?"""
    parameters = {"space": namespace, "within": within, "holder": team}
    return bool(tx.execute(_TAKE["team_id"], parameters).rowcount)


def of_repository(tx: Connection, namespace: str, within: str) -> list[GrantRow]:
    """Who was given what on that repository alone."""
    return _rows(tx, _OF_REPOSITORY, {"space": namespace, "within": within})


def of_namespace(tx: Connection, namespace: str) -> list[GrantRow]:
    """Who was given what anywhere in the namespace."""
    return _rows(tx, _LIST, {"space": namespace})


def move(tx: Connection, namespace: str, within: str, to: str) -> None:
    """Let what was given on one repository hold for another, which has nothing of its own."""
    tx.execute(_CLEAR, {"space": namespace, "within": to})
    tx.execute(_MOVE.values(repository=to), {"space": namespace, "within": within})


def clear(tx: Connection, namespace: str, within: str) -> list[Kept]:
    """Take all that was given on one repository; what `restore` gives again."""
    parameters = {"space": namespace, "within": within}
    kept = [dict(row._mapping) for row in tx.execute(select(*_KEPT).where(_ONE), parameters)]
    tx.execute(_CLEAR, parameters)
    return [{**row, "namespace": namespace} for row in kept]


def restore(tx: Connection, kept: list[Kept]) -> None:
    """Give again what `clear` has taken."""
    if kept:
        tx.execute(insert(grants).on_conflict_do_nothing(), kept)


def _values(
    namespace: str,
    within: str,
    role: Role,
    *,
    user_id: int | None = None,
    team_id: int | None = None,
) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "repository": within,
        "role": role.value,
        "user_id": user_id,
        "team_id": team_id,
    }


def _rows(tx: Connection, question: Select[Any], parameters: dict[str, str]) -> list[GrantRow]:
    return [
        GrantRow(repository, user, team, Role(role))
        for repository, user, team, role in tx.execute(question, parameters)
    ]
