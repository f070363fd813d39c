"""Teams of an organisation: several members who are given roles together."""

from __future__ import annotations

from sqlalchemy import Connection

from registry_server.hub.errors import Unknown
from registry_server.hub.names import parse_account_name
from registry_server.hub.organisations.organisations import find as find_organisation
from registry_server.hub.organisations.organisations import lock, user_id
from registry_server.hub.records import audit, grants, members, teams
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.grants import EVERYTHING
from registry_server.hub.records.teams import TeamRow
from registry_server.hub.roles import Role


def page(tx: Connection, organisation: str, *, after: str, limit: int) -> list[TeamRow]:
    """The teams above `after`, by name.  Raises `Unknown`."""
    find_organisation(tx, organisation)
    return teams.page(tx, organisation, after=after, limit=limit)


def find(tx: Connection, organisation: str, team: str) -> TeamRow:
    """The team.  Raises `Unknown`."""
    found = teams.find(tx, organisation, team)
    if found is None:
        raise _unknown(organisation, team)
    return found


def put(
    tx: Connection, by: By, organisation: str, team: str, description: str, role: Role | None
) -> TeamRow:
    """Make a team, or change it; `role` is its members' on all repositories.

    Raises `Unknown`, `Invalid`.
    """
    lock(tx, organisation)
    key = teams.put(tx, organisation, parse_account_name(team), description)
    if role is None:
        grants.take_from_team(tx, organisation, EVERYTHING, key)
    else:
        grants.give_team(tx, organisation, EVERYTHING, key, role)
    _record(tx, by, "team.set", organisation, team, role=role)
    return find(tx, organisation, team)


def delete(tx: Connection, by: By, organisation: str, team: str) -> None:
    """Delete a team, with what it was given; its members stay members.  Raises `Unknown`."""
    lock(tx, organisation)
    teams.remove(tx, key_of(tx, organisation, team))
    _record(tx, by, "team.deleted", organisation, team)


def users_in(tx: Connection, organisation: str, team: str, *, after: str, limit: int) -> list[str]:
    """The names above `after` of who is in it.  Raises `Unknown`."""
    return teams.users_in(tx, key_of(tx, organisation, team), after=after, limit=limit)


def add_user(tx: Connection, by: By, organisation: str, team: str, user: str) -> None:
    """Put a user into a team, and into the organisation if they are no member.

    Raises `Unknown`.
    """
    lock(tx, organisation)
    key, member = key_of(tx, organisation, team), user_id(tx, user)
    members.add(tx, organisation, member)
    if teams.join(tx, key, member):
        _record(tx, by, "team.joined", organisation, team, user=user)


def remove_user(tx: Connection, by: By, organisation: str, team: str, user: str) -> None:
    """Take a user out of a team; they stay a member of the organisation.  Raises `Unknown`."""
    lock(tx, organisation)
    if not teams.leave(tx, key_of(tx, organisation, team), user_id(tx, user)):
        raise Unknown(f"{user} is not in the team {team}")
    _record(tx, by, "team.left", organisation, team, user=user)


def key_of(tx: Connection, organisation: str, team: str) -> int:
    """The id of a team.  Raises `Unknown`."""
    found = teams.team_id(tx, organisation, team)
    if found is None:
        raise _unknown(organisation, team)
    return found


def _unknown(organisation: str, team: str) -> Unknown:
    return Unknown(f"the organisation {organisation} has no team {team}")


def _record(
    tx: Connection, by: By, action: str, organisation: str, team: str, **details: str | None
) -> None:
    deed = Deed(action, f"team:{organisation}/{team}", organisation, details)
    audit.record(tx, by, deed)
