"""Who users are elsewhere: at an OpenID provider, or in a directory.

Whoever comes from there for the first time gets an account.  It is never joined to one that is
there already because the names are alike: who chooses names elsewhere would choose accounts here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import Connection

from registry_server.hub.accounts.checks import MAX_DESCRIPTION
from registry_server.hub.errors import Conflict, HubError, Invalid, Taken
from registry_server.hub.names import MAX_LENGTH, is_account_name
from registry_server.hub.records import audit, identities, members, namespaces, users
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.users import NewUser, User
from registry_server.hub.roles import Role, strongest
from registry_server.settings.hub import DirectorySettings, OpenIDSettings

_UNFIT: Final = re.compile(r"[^a-z0-9]*[^a-z0-9._-]+[^a-z0-9]*")


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Somebody as a provider or a directory knows them, who has shown it there."""

    issuer: str
    """The provider, or the URL of the directory."""
    subject: str
    """What it calls them, now and always."""
    name: str
    """What they are to be called here."""
    full_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()


class Directory(Protocol):
    """Where users and their passwords are, if not here."""

    settings: DirectorySettings

    async def verify(self, name: str, password: str) -> ExternalIdentity | None:
        """Who has that name and password there.  Raises `RegistryError` where it fails."""


class NoAccount(HubError):
    """Somebody is known elsewhere, and has no account here."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody's groups make of them here."""

    is_admin: bool | None
    """None: groups do not say who administers the hub."""
    roles: Mapping[str, Role]
    """By organisation."""


def standing(identity: ExternalIdentity, settings: OpenIDSettings | DirectorySettings) -> Standing:
    """What the settings say of the groups."""
    roles: dict[str, Role] = {}
    for group in identity.groups:
        for organisation, role in settings.groups.get(group, {}).items():
            known = strongest((roles.get(organisation), Role(role)))
            assert known is not None
            roles[organisation] = known
    admins = settings.admingroup
    return Standing(None if admins is None else admins in identity.groups, roles)


def is_new(tx: Connection, identity: ExternalIdentity) -> bool:
    """Whether they have no account here yet."""
    return identities.find_user(tx, identity.issuer, identity.subject) is None


def name_of_somebody_else(name: str) -> Taken:
    """What somebody is told whose name elsewhere cannot be theirs here."""
    return Taken(f"the name {name} is somebody else's here; ask an administrator what to do")


def arrive(tx: Connection, identity: ExternalIdentity, here: Standing, *, may_create: bool) -> User:
    """The user who that is, made if need be, with what the groups say now.

    Raises `NoAccount`, `Invalid`, `Taken`.
    """
    user = identities.find_user(tx, identity.issuer, identity.subject)
    if user is None:
        if not may_create:
            raise NoAccount("you have no account here; ask an administrator for one")
        user = _create(tx, identity)
    if here.is_admin is not None and here.is_admin != user.is_admin:
        _set_admin(tx, user, here.is_admin)
    described = _plain(identity.full_name), _plain(identity.email)
    if (user.full_name, user.email) != described:
        users.describe(tx, user.id, *described)
    members.follow(tx, user.id, identity.issuer, _of_organisations(tx, here.roles))
    found = users.get(tx, user.id)
    assert found is not None
    return found


def _set_admin(tx: Connection, user: User, is_admin: bool) -> None:
    """The last administrator stays one, whatever groups say."""
    with suppress(Conflict):
        users.set_admin(tx, user.id, is_admin)
        _record(tx, user.name, "user.admin-set", {"is_admin": is_admin})


def _of_organisations(tx: Connection, roles: Mapping[str, Role]) -> dict[str, Role]:
    """Those of the roles that are in organisations that there are."""
    found = {name: namespaces.find(tx, name) for name in roles}
    return {name: roles[name] for name, row in found.items() if row and row.is_organisation}


def _create(tx: Connection, identity: ExternalIdentity) -> User:
    name = account_name(identity.name)
    try:
        user = users.create(tx, NewUser(name))
    except Taken:
        raise name_of_somebody_else(name) from None
    identities.add(tx, user.id, identity.issuer, identity.subject)
    _record(tx, name, "user.created", {"issuer": identity.issuer})
    return user


def account_name(text: str) -> str:
    """What somebody is called here whom others call `text`.  Raises `Invalid`."""
    name = _UNFIT.sub("-", text.strip().lower()).strip("._-")[:MAX_LENGTH]
    if not is_account_name(name):
        raise Invalid(f"{text[:MAX_LENGTH]!r} cannot be made the name of an account")
    return name


def _plain(text: str) -> str:
    """What is left of a text that others wrote when it is a line."""
    return "".join(character for character in text if character.isprintable())[:MAX_DESCRIPTION]


def _record(tx: Connection, name: str, action: str, details: Mapping[str, object]) -> None:
    audit.record(tx, By(name), Deed(action, f"user:{name}", name, details))
