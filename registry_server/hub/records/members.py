"""The rows of members of organisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.roles import Role
from registry_server.hub.tables import grants, members, team_members, teams, users


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member of an organisation."""

    user: str
    full_name: str
    role: Role | None
    """On all its repositories; None: none but by teams and grants."""
    source: str
    """Whose groups the membership follows; "": it was given by hand."""
    created_at: int
    """Milliseconds since the epoch."""


_USER_ID = select(users.c.id).where(users.c.name == bindparam("wanted"))
_LIST = (
    select(users.c.name, users.c.full_name, members.c.role, members.c.source, members.c.created_at)
    .join(users, users.c.id == members.c.user_id)
    .where(members.c.namespace == bindparam("organisation"), users.c.name > bindparam("after"))
    .order_by(users.c.name)
    .limit(bindparam("most"))
)
_put = insert(members)
_PUT = _put.on_conflict_do_update(
    index_elements=[members.c.namespace, members.c.user_id],
    set_={"role": _put.excluded.role, "source": _put.excluded.source},
)
_ADD = insert(members).on_conflict_do_nothing()
_ROLE = select(members.c.role).where(
    members.c.namespace == bindparam("organisation"), members.c.user_id == bindparam("member")
)
_ADMINS = select(func.count()).where(
    members.c.namespace == bindparam("organisation"), members.c.role == Role.ADMIN.value
)
_FOLLOWED = select(members.c.namespace).where(
    members.c.user_id == bindparam("member"), members.c.source == bindparam("followed")
)
_REMOVE = (
    delete(members)
    .where(
        members.c.namespace == bindparam("organisation"), members.c.user_id == bindparam("member")
    )
    .execution_options(preserve_rowcount=True)
)
_LEAVE_TEAMS = delete(team_members).where(
    team_members.c.user_id == bindparam("member"),
    team_members.c.team_id.in_(
        select(teams.c.id).where(teams.c.namespace == bindparam("organisation"))
    ),
)
_LOSE_GRANTS = delete(grants).where(
    grants.c.namespace == bindparam("organisation"), grants.c.user_id == bindparam("member")
)


def user_id(tx: Connection, name: str) -> int | None:
    """The id of the user of that name."""
    return tx.scalar(_USER_ID, {"wanted": name})


def page(tx: Connection, organisation: str, *, after: str, limit: int) -> list[MemberRow]:
    """Those above `after`, by name."""
    parameters = {"organisation": organisation, "after": after, "most": limit}
    return [
        MemberRow(name, full_name, _role(role), source, created_at)
        for name, full_name, role, source, created_at in tx.execute(_LIST, parameters)
    ]


def put(
    tx: Connection, organisation: str, member: int, role: Role | None, source: str = ""
) -> None:
    """Make the user a member with exactly that role."""
    tx.execute(_PUT, _values(organisation, member, role, source))


def add(tx: Connection, organisation: str, member: int, source: str = "") -> None:
    """Make the user a member without a role, unless they are one already."""
    tx.execute(_ADD, _values(organisation, member, None, source))


def remove(tx: Connection, organisation: str, member: int) -> bool:
    """End a membership, with all that the user was given in the organisation; was there one?"""
    parameters = {"organisation": organisation, "member": member}
    tx.execute(_LEAVE_TEAMS, parameters)
    tx.execute(_LOSE_GRANTS, parameters)
    return bool(tx.execute(_REMOVE, parameters).rowcount)


def follow(tx: Connection, member: int, source: str, roles: Mapping[str, Role]) -> None:
    """Let memberships of that source be those of `roles`: a role by organisation, and no others.

    What was given by hand stays as it is.
    """
    before = set(tx.scalars(_FOLLOWED, {"member": member, "followed": source}))
    for organisation in before - roles.keys():
        remove(tx, organisation, member)
    for organisation, role in roles.items():
        if organisation in before:
            put(tx, organisation, member, role, source)
        else:
            tx.execute(_ADD, _values(organisation, member, role, source))


def is_last_admin(tx: Connection, organisation: str, member: int) -> bool:
    """Whether nobody else administers it; the namespace is locked."""
    parameters = {"organisation": organisation, "member": member}
    role = tx.scalar(_ROLE, parameters)
    return role == Role.ADMIN and tx.scalar(_ADMINS, {"organisation": organisation}) == 1


def _values(
    organisation: str, member: int, role: Role | None, source: str
) -> dict[str, str | int | None]:
    return {
        "namespace": organisation,
        "user_id": member,
        "role": None if role is None else role.value,
        "source": source,
    }


def _role(text: str | None) -> Role | None:
    return None if text is None else Role(text)
