"""What somebody is given on one repository, beyond what they may do in all of its namespace."""

from __future__ import annotations

from sqlalchemy import Connection

from registry_server.hub.errors import Unknown
from registry_server.hub.organisations.organisations import user_id
from registry_server.hub.organisations.teams import key_of
from registry_server.hub.records import audit, grants, namespaces
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.grants import GrantRow
from registry_server.hub.roles import Role
from registry_storage.names import namespace_of


def of_repository(tx: Connection, repository: str) -> list[GrantRow]:
    """Who was given what on that repository alone."""
    return grants.of_repository(tx, *split(repository))


def of_namespace(tx: Connection, namespace: str) -> list[GrantRow]:
    """Who was given what anywhere in the namespace."""
    return grants.of_namespace(tx, namespace)


def give_user(tx: Connection, by: By, repository: str, user: str, role: Role) -> None:
    """Give a user exactly that role.  Raises `Unknown`."""
    namespace, within = _lock(tx, repository)
    grants.give_user(tx, namespace, within, user_id(tx, user), role)
    _record(tx, by, "grant.set", repository, user=user, role=role)


def give_team(tx: Connection, by: By, repository: str, team: str, role: Role) -> None:
    """Give a team of the repository's organisation exactly that role.  Raises `Unknown`."""
    namespace, within = _lock(tx, repository)
    grants.give_team(tx, namespace, within, key_of(tx, namespace, team), role)
    _record(tx, by, "grant.set", repository, team=team, role=role)


def take_from_user(tx: Connection, by: By, repository: str, user: str) -> None:
    """Take it away.  Raises `Unknown`."""
    namespace, within = _lock(tx, repository)
    if not grants.take_from_user(tx, namespace, within, user_id(tx, user)):
        raise Unknown(f"{user} was given nothing on {repository}")
    _record(tx, by, "grant.removed", repository, user=user)


def take_from_team(tx: Connection, by: By, repository: str, team: str) -> None:
    """Take it away.  Raises `Unknown`."""
    namespace, within = _lock(tx, repository)
    if not grants.take_from_team(tx, namespace, within, key_of(tx, namespace, team)):
        raise Unknown(f"the team {team} was given nothing on {repository}")
    _record(tx, by, "grant.removed", repository, team=team)


def split(repository: str) -> tuple[str, str]:
    """The namespace of a repository, and its name within it."""
    namespace = namespace_of(repository)
    return namespace, repository.removeprefix(f"{namespace}/")


def _lock(tx: Connection, repository: str) -> tuple[str, str]:
    """As `split`; nobody else changes who may do what in the namespace meanwhile."""
    namespace, within = split(repository)
    if namespaces.lock(tx, namespace) is None:
        raise Unknown(f"{repository} lies in nobody's namespace: only one with an owner has grants")
    return namespace, within


def _record(tx: Connection, by: By, action: str, repository: str, **details: str) -> None:
    deed = Deed(action, f"repository:{repository}", namespace_of(repository), details)
    audit.record(tx, by, deed)
