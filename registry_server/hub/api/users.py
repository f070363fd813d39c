"""All accounts, for administrators of the hub; and the links by which people begin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import Field

from registry_server.hub.accounts import links
from registry_server.hub.accounts.links import Invitation as Promise
from registry_server.hub.api.me import Profile
from registry_server.hub.api.models import (
    AccountName,
    Identifier,
    Line,
    Listing,
    Page,
    Paging,
    Password,
    Secret,
    moment,
    moment_or_none,
    page_of,
)
from registry_server.hub.records.audit import By
from registry_server.hub.records.links import Link as LinkRow
from registry_server.hub.records.links import Purpose
from registry_server.hub.records.users import User as UserRow
from registry_server.hub.roles import Role
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Input, Output, Route


class NewUser(Input):
    name: AccountName
    password: Password | None = Field(None, description="Null: a link lets them choose one.")
    full_name: Line = ""
    email: Line = ""
    is_admin: bool = False


class Registration(Input):
    name: AccountName
    password: Password
    full_name: Line = ""
    email: Line = ""


class User(Output):
    name: str
    full_name: str
    email: str
    is_admin: bool
    is_disabled: bool
    has_password: bool
    has_second_factor: bool
    created_at: datetime
    last_seen_at: datetime | None


class AdminChange(Input):
    is_admin: bool


class DisabledChange(Input):
    is_disabled: bool


class NewInvitation(Input):
    organisation: AccountName | None = Field(None, description="Of which they become a member …")
    role: Role | None = Field(None, description="… with that role on its repositories.")
    is_admin: bool = Field(False, description="Whether they administer the hub.")
    note: Line = Field("", description="Whom it is meant for.")


class Invitation(Output):
    id: str
    organisation: str | None
    role: Role | None
    is_admin: bool
    note: str
    made_by: str
    created_at: datetime
    expires_at: datetime


class SecretLink(Output):
    url: str = Field(description="It works once, and is not shown again.")


class LinkSecret(Input):
    secret: Secret


class LinkAcceptance(LinkSecret):
    name: AccountName
    password: Password


class LinkPassword(LinkSecret):
    password: Password


class Link(Output):
    purpose: Purpose
    user: str | None = Field(description="Whose password it sets; null: it makes an account.")
    organisation: str | None


# Accounts


async def list_users(call: Call, query: Paging) -> Page[User]:
    """List all users, by name."""
    found = await call.hub.accounts.users.page(query.after, query.limit)
    return page_of([_user(user) for user in found], query, "name")


async def create_user(call: Call, body: NewUser) -> User:
    """Make an account."""
    created = await call.hub.accounts.users.create(
        call.by,
        body.name,
        body.password,
        is_admin=body.is_admin,
        full_name=body.full_name,
        email=body.email,
    )
    return _user(created)


async def get_user(call: Call, user: AccountName) -> User:
    """Show an account."""
    return _user(await call.hub.accounts.users.find(user))


async def describe_user(call: Call, user: AccountName, body: Profile) -> None:
    """Say what a user is called in full, and their address."""
    users = call.hub.accounts.users
    await users.describe(call.by, await users.find(user), body.full_name, body.email)


async def set_admin(call: Call, user: AccountName, body: AdminChange) -> None:
    """Say whether a user administers the hub; they have to log in again."""
    users = call.hub.accounts.users
    await users.set_admin(call.by, await users.find(user), body.is_admin)


async def set_disabled(call: Call, user: AccountName, body: DisabledChange) -> None:
    """Disable an account, which ends everything that it holds, or enable it again."""
    users = call.hub.accounts.users
    found = await users.find(user)
    if body.is_disabled:
        await users.disable(call.by, found)
    else:
        await users.enable(call.by, found)


async def make_password_link(call: Call, user: AccountName) -> SecretLink:
    """Make a link that lets a user choose a password; earlier ones are void."""
    found = await call.hub.accounts.users.find(user)
    return _link(call, await call.hub.accounts.links.for_password(call.by, found))


async def remove_users_second_factor(call: Call, user: AccountName) -> None:
    """Remove a user's second factor, who has lost it."""
    found = await call.hub.accounts.users.find(user)
    await call.hub.accounts.second_factor.remove(call.by, found)


async def end_users_sessions(call: Call, user: AccountName) -> None:
    """End all sessions of a user."""
    found = await call.hub.accounts.users.find(user)
    await call.hub.accounts.sessions.revoke_all(call.by, found)


# Invitations


async def list_invitations(call: Call) -> Listing[Invitation]:
    """List the invitations that nobody has used yet, the newest first."""
    found = await call.hub.accounts.links.invitations()
    return Listing(items=[_invitation(link) for link in found])


async def invite(call: Call, body: NewInvitation) -> SecretLink:
    """Make a link by which somebody makes their account."""
    promise = Promise(body.organisation, body.role, body.is_admin, body.note)
    _, secret = await call.hub.accounts.links.invite(call.by, promise)
    return _link(call, secret)


async def revoke_invitation(call: Call, invitation: Identifier) -> None:
    """Revoke an invitation."""
    await call.hub.accounts.links.revoke_invitation(call.by, invitation)


# Whoever has no account yet


async def register(call: Call, body: Registration) -> User:
    """Make an account for oneself, where `auth.hub.registration` is open."""
    by = By(body.name, call.origin, call.request_id)
    created = await call.hub.accounts.users.register(
        by,
        body.name,
        body.password,
        body.full_name,
        body.email,
    )
    return _user(created)


async def show_link(call: Call, body: LinkSecret) -> Link:
    """Show what a link is for, without using it."""
    shown = await call.hub.accounts.links.find(body.secret)
    return Link(purpose=shown.purpose, user=shown.user, organisation=shown.organisation)


async def accept_invitation(call: Call, body: LinkAcceptance) -> User:
    """Make the account that an invitation promises."""
    if (await call.hub.accounts.links.find(body.secret)).purpose is Purpose.INVITATION:
        await call.hub.repositories.refuse_heir(body.name)
    accepted = await call.hub.accounts.links.accept(
        body.secret, body.name, body.password, call.origin
    )
    return _user(accepted)


async def set_password_by_link(call: Call, body: LinkPassword) -> None:
    """Choose a password by a link."""
    await call.hub.accounts.links.set_password(body.secret, body.password, call.origin)


def _user(user: UserRow) -> User:
    return User(
        name=user.name,
        full_name=user.full_name,
        email=user.email,
        is_admin=user.is_admin,
        is_disabled=user.is_disabled,
        has_password=user.password_hash is not None,
        has_second_factor=user.has_second_factor,
        created_at=moment(user.created_at),
        last_seen_at=moment_or_none(user.last_seen_at),
    )


def _invitation(link: LinkRow) -> Invitation:
    return Invitation(
        id=link.id,
        organisation=link.details.get("organisation"),
        role=link.details.get("role"),
        is_admin=bool(link.details.get("is_admin")),
        note=link.details.get("note", ""),
        made_by=link.made_by,
        created_at=moment(link.created_at),
        expires_at=moment(link.expires_at),
    )


def _link(call: Call, secret: str) -> SecretLink:
    return SecretLink(url=f"{call.base_url}{links.PATH}{secret}")


_USERS: Final = "/api/v1/users"
_USER: Final = f"{_USERS}/{{user}}"
_INVITATIONS: Final = "/api/v1/invitations"
_LINKS: Final = "/api/v1/links"

ROUTES: Final[Sequence[Route]] = (
    Route("GET", _USERS, Policy.SITE_ADMIN, list_users),
    Route("POST", _USERS, Policy.SITE_ADMIN, create_user, 201),
    Route("GET", _USER, Policy.SITE_ADMIN, get_user),
    Route("PUT", _USER, Policy.SITE_ADMIN, describe_user),
    Route("PUT", f"{_USER}/admin", Policy.SITE_ADMIN, set_admin),
    Route("PUT", f"{_USER}/disabled", Policy.SITE_ADMIN, set_disabled),
    Route("POST", f"{_USER}/password-link", Policy.SITE_ADMIN, make_password_link, 201),
    Route("DELETE", f"{_USER}/second-factor", Policy.SITE_ADMIN, remove_users_second_factor),
    Route("DELETE", f"{_USER}/sessions", Policy.SITE_ADMIN, end_users_sessions),
    Route("GET", _INVITATIONS, Policy.SITE_ADMIN, list_invitations),
    Route("POST", _INVITATIONS, Policy.SITE_ADMIN, invite, 201),
    Route("DELETE", f"{_INVITATIONS}/{{invitation}}", Policy.SITE_ADMIN, revoke_invitation),
    Route("POST", "/api/v1/registrations", Policy.UNIDENTIFIED, register, 201),
    Route("POST", f"{_LINKS}/lookup", Policy.UNIDENTIFIED, show_link),
    Route("POST", f"{_LINKS}/acceptance", Policy.UNIDENTIFIED, accept_invitation, 201),
    Route("POST", f"{_LINKS}/password", Policy.UNIDENTIFIED, set_password_by_link),
)
