"""Organisations and their members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import Field

from registry_server.hub.api.models import (
    AccountName,
    Line,
    Page,
    Paging,
    Text,
    moment,
    page_of,
)
from registry_server.hub.organisations import organisations
from registry_server.hub.records import members, namespaces
from registry_server.hub.records.namespaces import NamespaceRow
from registry_server.hub.roles import Role
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Input, Output, Route


class NewOrganisation(Input):
    name: AccountName
    full_name: Line = ""
    description: Text = ""


class Description(Input):
    full_name: Line = ""
    description: Text = ""


class Organisation(Output):
    name: str
    full_name: str
    description: str
    created_at: datetime


class Membership(Input):
    role: Role | None = Field(
        None, description="On all repositories; null: none but by teams and grants."
    )


class Member(Output):
    user: str
    full_name: str
    role: Role | None
    source: str = Field(description="Whose groups the membership follows; empty: given by hand.")
    created_at: datetime


async def list_organisations(call: Call, query: Paging) -> Page[Organisation]:
    """List the organisations that the caller is a member of; an administrator's are all."""
    read, account = call.hub.database.read, call.caller.account or 0
    if call.caller.is_admin:
        rows = await read(namespaces.organisations, after=query.after, limit=query.limit)
    else:
        rows = await read(
            namespaces.organisations_of, account, after=query.after, limit=query.limit
        )
    return page_of([_shown(row) for row in rows], query, "name")


async def create_organisation(call: Call, body: NewOrganisation) -> Organisation:
    """Make an organisation, which the caller administers."""
    if not call.caller.is_admin:
        await call.hub.repositories.refuse_heir(body.name)
    created = await call.hub.organisations.create(
        call.by,
        body.name,
        admin=call.caller.account,
        full_name=body.full_name,
        description=body.description,
    )
    return _shown(created)


async def get_organisation(call: Call, namespace: AccountName) -> Organisation:
    """Show an organisation."""
    return _shown(await call.hub.database.read(organisations.find, namespace))


async def describe_organisation(
    call: Call, namespace: AccountName, body: Description
) -> Organisation:
    """Say what an organisation is called in full and what it does."""
    described = await call.hub.database.write(
        organisations.describe, call.by, namespace, body.full_name, body.description
    )
    return _shown(described)


async def delete_organisation(call: Call, namespace: AccountName) -> None:
    """Delete an organisation that has no repositories."""
    await call.hub.organisations.delete(call.by, namespace)


async def list_members(call: Call, namespace: AccountName, query: Paging) -> Page[Member]:
    """List an organisation's members."""
    rows = await call.hub.database.read(
        members.page, namespace, after=query.after, limit=query.limit
    )
    found = [
        Member(
            user=row.user,
            full_name=row.full_name,
            role=row.role,
            source=row.source,
            created_at=moment(row.created_at),
        )
        for row in rows
    ]
    return page_of(found, query, "user")


async def put_member(
    call: Call, namespace: AccountName, user: AccountName, body: Membership
) -> None:
    """Make a user a member with a role."""
    await call.hub.database.write(organisations.put_member, call.by, namespace, user, body.role)


async def remove_member(call: Call, namespace: AccountName, user: AccountName) -> None:
    """End a membership, with all that the user was given in the organisation."""
    await call.hub.database.write(organisations.remove_member, call.by, namespace, user)


async def leave_organisation(call: Call, namespace: AccountName) -> None:
    """End the caller's own membership."""
    name = call.caller.name
    await call.hub.database.write(organisations.remove_member, call.by, namespace, name)


def _shown(row: NamespaceRow) -> Organisation:
    return Organisation(
        name=row.name,
        full_name=row.full_name,
        description=row.description,
        created_at=moment(row.created_at),
    )


_ADMINS: Final = Policy.namespace(Role.ADMIN)
_ALL: Final = "/api/v1/organisations"
_ONE: Final = f"{_ALL}/{{namespace}}"
_MEMBERS: Final = f"{_ONE}/members"
_MEMBER: Final = f"{_MEMBERS}/{{user}}"

ROUTES: Final[Sequence[Route]] = (
    Route("GET", _ALL, Policy.ACCOUNT, list_organisations),
    Route("POST", _ALL, Policy.ACCOUNT, create_organisation, 201),
    Route("GET", _ONE, Policy.MEMBER, get_organisation),
    Route("PUT", _ONE, _ADMINS, describe_organisation),
    Route("DELETE", _ONE, _ADMINS, delete_organisation),
    Route("GET", _MEMBERS, Policy.MEMBER, list_members),
    Route("PUT", _MEMBER, _ADMINS, put_member),
    Route("DELETE", _MEMBER, _ADMINS, remove_member),
    Route("DELETE", "/api/v1/me/organisations/{namespace}", Policy.MEMBER, leave_organisation),
)
