"""People: each has a name, which is a namespace, and may have a password here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from sqlalchemy import Connection

from registry_server.hub.accounts.checks import check_line
from registry_server.hub.accounts.identities import (
    ExternalIdentity,
    account_name,
    arrive,
    is_new,
    name_of_somebody_else,
    standing,
)
from registry_server.hub.accounts.passwords import Passwords, is_bcrypt
from registry_server.hub.errors import Conflict, Invalid, Taken, Unknown
from registry_server.hub.names import parse_account_name
from registry_server.hub.records import audit, users
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.users import NewUser, User
from registry_server.limits import LoginLimit
from registry_server.settings.hub import DirectorySettings, OpenIDSettings
from registry_storage.databases import Database

CheckName = Callable[[str], Awaitable[None]]
"""Raises `Taken` for a name that nobody may choose for themselves, or bring along."""


class Users:
    """Makes, finds, changes and disables them."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        registration: Literal["closed", "open"],
        limit: LoginLimit,
        check_name: CheckName,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._limit = limit
        self._registration = registration
        self._check_name = check_name

    async def create(
        self,
        by: By,
        name: str,
        password: str | None = None,
        *,
        is_admin: bool = False,
        full_name: str = "",
        email: str = "",
    ) -> User:
        """A new one; without a password, a link lets them choose one.

        Raises `Invalid`, `Taken`, `TooManyLogins`.
        """
        parse_account_name(name)
        check_line("a name", full_name)
        check_line("an address", email)
        hashed = None
        if password is not None:
            self._passwords.check(password, name)
            hashed = await self._passwords.hash(password)
        new = NewUser(name, hashed, is_admin, full_name, email)
        return await self._database.write(create, by, new)

    async def register(
        self,
        by: By,
        name: str,
        password: str,
        full_name: str = "",
        email: str = "",
    ) -> User:
        """Somebody makes an account for themselves.

        Raises `Conflict` where nobody may, `Invalid`, `Taken`, `TooManyLogins`.
        """
        if self._registration != "open":
            raise Conflict("accounts are made by administrators here; ask one for an invitation")
        self._limit.charge(by.origin, "")
        await self._check_name(name)
        return await self.create(by, name, password, full_name=full_name, email=email)

    async def take_over(self, by: By, name: str, hashed: str) -> User:
        """A new one, with the hash of bcrypt that another program has of the password.

        Raises `Invalid`, `Taken`.
        """
        parse_account_name(name)
        if not is_bcrypt(hashed):
            raise Invalid(f"the password of {name} is not hashed by bcrypt")
        return await self._database.write(create, by, NewUser(name, hashed))

    async def from_identity(
        self, identity: ExternalIdentity, settings: OpenIDSettings | DirectorySettings
    ) -> User:
        """Who that is here, made at their first login, with the roles that their groups give.

        The user may be disabled.  Raises `NoAccount`, `Invalid`, `Taken`.
        """
        may_create = not isinstance(settings, OpenIDSettings) or settings.createusers
        here = standing(identity, settings)
        if may_create and await self._database.read(is_new, identity):
            await self._check_name_of(identity)
        return await self._database.write(arrive, identity, here, may_create=may_create)

    async def _check_name_of(self, identity: ExternalIdentity) -> None:
        name = account_name(identity.name)
        try:
            await self._check_name(name)
        except Taken:
            raise name_of_somebody_else(name) from None

    async def find(self, name: str) -> User:
        """The one of that name, disabled or not.  Raises `Unknown`."""
        found = await self._database.read(users.find, name)
        if found is None:
            raise Unknown(f"there is no user {name}")
        return found

    async def get(self, user_id: int) -> User:
        """The one with that id, disabled or not.  Raises `Unknown`."""
        found = await self._database.read(users.get, user_id)
        if found is None:
            raise Unknown("there is no such user")
        return found

    async def page(self, after: str = "", limit: int = 100) -> list[User]:
        """The next ones by name."""
        return await self._database.read(users.page, after, limit)

    async def describe(self, by: By, user: User, full_name: str, email: str) -> None:
        """How they are called and where they are reached.  Raises `Invalid`."""
        check_line("a name", full_name)
        check_line("an address", email)
        await self._database.write(_describe, by, user, full_name, email)

    async def set_password(self, by: By, user: User, password: str, keep: str = "") -> None:
        """A new one, which ends the logins by the old one, but the session with the id `keep`.

        Raises `Invalid`, `TooManyLogins`.
        """
        self._passwords.check(password, user.name)
        hashed = await self._passwords.hash(password)
        await self._database.write(set_password, by, user, hashed, keep)

    async def set_admin(self, by: By, user: User, is_admin: bool) -> None:
        """Whether they administer the hub; they have to log in again.  Raises `Conflict`."""
        if is_admin != user.is_admin:
            await self._database.write(_set_admin, by, user, is_admin)

    async def disable(self, by: By, user: User) -> None:
        """End everything that they hold.  Raises `Conflict`."""
        await self._database.write(_disable, by, user)

    async def enable(self, by: By, user: User) -> None:
        """They may log in again."""
        await self._database.write(_enable, by, user)


def create(tx: Connection, by: By, new: NewUser) -> User:
    """Raises `Taken`."""
    user = users.create(tx, new)
    _record(tx, by, "user.created", user, is_admin=new.is_admin)
    return user


def set_password(tx: Connection, by: By, user: User, hashed: str, keep: str = "") -> None:
    """As `Users.set_password`."""
    users.set_password(tx, user.id, hashed, keep)
    _record(tx, by, "user.password-set", user)


def _describe(tx: Connection, by: By, user: User, full_name: str, email: str) -> None:
    users.describe(tx, user.id, full_name, email)
    _record(tx, by, "user.described", user)


def _set_admin(tx: Connection, by: By, user: User, is_admin: bool) -> None:
    users.set_admin(tx, user.id, is_admin)
    _record(tx, by, "user.admin-set", user, is_admin=is_admin)


def _disable(tx: Connection, by: By, user: User) -> None:
    users.disable(tx, user.id)
    _record(tx, by, "user.disabled", user)


def _enable(tx: Connection, by: By, user: User) -> None:
    users.enable(tx, user.id)
    _record(tx, by, "user.enabled", user)


def _record(tx: Connection, by: By, action: str, user: User, **details: object) -> None:
    audit.record(tx, by, Deed(action, f"user:{user.name}", details=details))
