"""Teams of organisations, and what users and teams are given on single repositories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import Field

from registry_server.hub.api.models import (
    AccountName,
    Line,
    Listing,
    Page,
    Paging,
    RepositoryName,
    moment,
    page_of,
)
from registry_server.hub.organisations import grants, teams
from registry_server.hub.records.grants import GrantRow
from registry_server.hub.records.teams import TeamRow
from registry_server.hub.roles import Role
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Input, Output, Route


class TeamChange(Input):
    description: Line = ""
    role: Role | None = Field(
        None, description="Its members' on all repositories; null: none but by grants."
    )


class Team(Output):
    name: str
    description: str
    role: Role | None
    members: int
    created_at: datetime


class TeamMember(Output):
    user: str


class GrantChange(Input):
    role: Role


class Grant(Output):
    repository: str
    user: str | None = Field(description="Who holds it: a user …")
    team: str | None = Field(description="… or a team.")
    role: Role


async def list_teams(call: Call, namespace: AccountName, query: Paging) -> Page[Team]:
    """List an organisation's teams."""
    rows = await call.hub.database.read(teams.page, namespace, after=query.after, limit=query.limit)
    return page_of([_shown(row) for row in rows], query, "name")


async def get_team(call: Call, namespace: AccountName, team: AccountName) -> Team:
    """Show a team."""
    return _shown(await call.hub.database.read(teams.find, namespace, team))


async def put_team(call: Call, namespace: AccountName, team: AccountName, body: TeamChange) -> Team:
    """Make a team, or change it."""
    changed = await call.hub.database.write(
        teams.put, call.by, namespace, team, body.description, body.role
    )
    return _shown(changed)


async def delete_team(call: Call, namespace: AccountName, team: AccountName) -> None:
    """Delete a team, with what it was given."""
    await call.hub.database.write(teams.delete, call.by, namespace, team)


async def list_team_members(
    call: Call, namespace: AccountName, team: AccountName, query: Paging
) -> Page[TeamMember]:
    """List who is in a team."""
    names = await call.hub.database.read(
        teams.users_in, namespace, team, after=query.after, limit=query.limit
    )
    return page_of([TeamMember(user=name) for name in names], query, "user")


async def add_team_member(
    call: Call, namespace: AccountName, team: AccountName, user: AccountName
) -> None:
    """Put a user into a team, and into the organisation if they are no member."""
    await call.hub.database.write(teams.add_user, call.by, namespace, team, user)


async def remove_team_member(
    call: Call, namespace: AccountName, team: AccountName, user: AccountName
) -> None:
    """Take a user out of a team."""
    await call.hub.database.write(teams.remove_user, call.by, namespace, team, user)


async def list_namespace_grants(call: Call, namespace: AccountName) -> Listing[Grant]:
    """List who was given what anywhere in a namespace."""
    return _grants(namespace, await call.hub.database.read(grants.of_namespace, namespace))


async def list_grants(call: Call, repository: RepositoryName) -> Listing[Grant]:
    """List who was given what on a repository alone."""
    found = await call.hub.database.read(grants.of_repository, repository)
    return _grants(grants.split(repository)[0], found)


async def put_user_grant(
    call: Call, repository: RepositoryName, user: AccountName, body: GrantChange
) -> None:
    """Give a user a role on a repository, there or not yet."""
    await call.hub.database.write(grants.give_user, call.by, repository, user, body.role)


async def put_team_grant(
    call: Call, repository: RepositoryName, team: AccountName, body: GrantChange
) -> None:
    """Give a team of the repository's organisation a role on it."""
    await call.hub.database.write(grants.give_team, call.by, repository, team, body.role)


async def remove_user_grant(call: Call, repository: RepositoryName, user: AccountName) -> None:
    """Take what a user was given on a repository."""
    await call.hub.database.write(grants.take_from_user, call.by, repository, user)


async def remove_team_grant(call: Call, repository: RepositoryName, team: AccountName) -> None:
    """Take what a team was given on a repository."""
    await call.hub.database.write(grants.take_from_team, call.by, repository, team)


def _shown(row: TeamRow) -> Team:
    return Team(
        name=row.name,
        description=row.description,
        role=row.role,
        members=row.members,
        created_at=moment(row.created_at),
    )


def _grants(namespace: str, rows: Sequence[GrantRow]) -> Listing[Grant]:
    items = [
        Grant(
            repository=f"{namespace}/{row.repository}" if row.repository else f"{namespace}/**",
            user=row.user,
            team=row.team,
            role=row.role,
        )
        for row in rows
    ]
    return Listing(items=items)


_ADMINS: Final = Policy.namespace(Role.ADMIN)
_OWNERS: Final = Policy.repository(Role.ADMIN)
_TEAMS: Final = "/api/v1/organisations/{namespace}/teams"
_TEAM: Final = f"{_TEAMS}/{{team}}"
_GRANTS: Final = "/api/v1/repositories/{repository}/grants"

ROUTES: Final[Sequence[Route]] = (
    Route("GET", _TEAMS, Policy.MEMBER, list_teams),
    Route("GET", _TEAM, Policy.MEMBER, get_team),
    Route("PUT", _TEAM, _ADMINS, put_team),
    Route("DELETE", _TEAM, _ADMINS, delete_team),
    Route("GET", f"{_TEAM}/members", Policy.MEMBER, list_team_members),
    Route("PUT", f"{_TEAM}/members/{{user}}", _ADMINS, add_team_member),
    Route("DELETE", f"{_TEAM}/members/{{user}}", _ADMINS, remove_team_member),
    Route("GET", "/api/v1/namespaces/{namespace}/grants", _ADMINS, list_namespace_grants),
    Route("GET", _GRANTS, _OWNERS, list_grants),
    Route("PUT", f"{_GRANTS}/users/{{user}}", _OWNERS, put_user_grant),
    Route("DELETE", f"{_GRANTS}/users/{{user}}", _OWNERS, remove_user_grant),
    Route("PUT", f"{_GRANTS}/teams/{{team}}", _OWNERS, put_team_grant),
    Route("DELETE", f"{_GRANTS}/teams/{{team}}", _OWNERS, remove_team_grant),
)
