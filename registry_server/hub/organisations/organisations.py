"""Organisations: namespaces of several people, each of whom has a role, or none yet."""

from __future__ import annotations

from sqlalchemy import Connection

from registry_server.hub.errors import Conflict, Unknown
from registry_server.hub.names import parse_account_name
from registry_server.hub.records import audit, members, namespaces
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.namespaces import NamespaceRow
from registry_server.hub.roles import Role


def find(tx: Connection, name: str) -> NamespaceRow:
    """The organisation.  Raises `Unknown`."""
    return _organisation(namespaces.find(tx, name), name)


def lock(tx: Connection, name: str) -> NamespaceRow:
    """The organisation, in which nobody else changes who may do what meanwhile.

    Raises `Unknown`.
    """
    return _organisation(namespaces.lock(tx, name), name)


def create(
    tx: Connection,
    by: By,
    name: str,
    *,
    admin: int | None = None,
    full_name: str = "",
    description: str = "",
) -> NamespaceRow:
    """Make an organisation, which the user `admin`, if any, administers.

    Raises `Invalid`, `Taken`.
    """
    parse_account_name(name)
    namespaces.claim(tx, name, full_name=full_name, description=description)
    if admin is not None:
        members.put(tx, name, admin, Role.ADMIN)
    _record(tx, by, "organisation.created", name)
    return find(tx, name)


def describe(tx: Connection, by: By, name: str, full_name: str, description: str) -> NamespaceRow:
    """Say other things about an organisation.  Raises `Unknown`."""
    lock(tx, name)
    namespaces.describe(tx, name, full_name, description)
    _record(tx, by, "organisation.described", name)
    return find(tx, name)


def delete(tx: Connection, by: By, name: str) -> None:
    """Delete an organisation that has no repositories, with its robots, teams and grants.

    Raises `Unknown`.
    """
    lock(tx, name)
    namespaces.release(tx, name)
    _record(tx, by, "organisation.deleted", name)


# Members


def put_member(tx: Connection, by: By, organisation: str, user: str, role: Role | None) -> None:
    """Make a user a member with exactly that role; None: none but by teams and grants.

    Raises `Unknown`, and `Conflict` where nobody would be left to administer the organisation.
    """
    lock(tx, organisation)
    member = user_id(tx, user)
    if role is not Role.ADMIN:
        _keep_an_admin(tx, organisation, member)
    members.put(tx, organisation, member, role)
    details = {"user": user, "role": role}
    audit.record(tx, by, Deed("member.set", f"organisation:{organisation}", organisation, details))


def remove_member(tx: Connection, by: By, organisation: str, user: str) -> None:
    """End a membership, with all that the user was given in the organisation.

    Raises as `put_member`.
    """
    lock(tx, organisation)
    member = user_id(tx, user)
    _keep_an_admin(tx, organisation, member)
    if not members.remove(tx, organisation, member):
        raise Unknown(f"{user} is no member of {organisation}")
    deed = Deed("member.removed", f"organisation:{organisation}", organisation, {"user": user})
    audit.record(tx, by, deed)


def user_id(tx: Connection, name: str) -> int:
    """The id of the user of that name.  Raises `Unknown`."""
    found = members.user_id(tx, name)
    if found is None:
        raise Unknown(f"there is no user {name}")
    return found


def _keep_an_admin(tx: Connection, organisation: str, member: int) -> None:
    if members.is_last_admin(tx, organisation, member):
        raise Conflict("nobody else administers the organisation: make somebody else admin first")


def _organisation(found: NamespaceRow | None, name: str) -> NamespaceRow:
    if found is None or not found.is_organisation:
        raise Unknown(f"there is no organisation {name}")
    return found


def _record(tx: Connection, by: By, action: str, name: str) -> None:
    audit.record(tx, by, Deed(action, f"organisation:{name}", name))
