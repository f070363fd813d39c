"""Links that work once: whoever has one may do one thing, until it is done or the link expires.

first admin    printed where the server is started, as long as nobody administers the hub
invitation     makes an account, which may be a member of an organisation from the first
password       chooses a password for an account that is there
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from registry_server.hub.accounts import users as accounts
from registry_server.hub.accounts.checks import check_line
from registry_server.hub.accounts.passwords import Passwords
from registry_server.hub.errors import Conflict, Unknown
from registry_server.hub.names import parse_account_name
from registry_server.hub.records import audit, links, login_failures, members, namespaces, users
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.links import Link, NewLink, Purpose
from registry_server.hub.records.users import NewUser, User
from registry_server.hub.roles import Role
from registry_server.hub.secrets import Prefix, hashed, is_secret, new_id, new_secret
from registry_server.settings.section import DAY
from registry_storage.databases import Database

LIFETIME_SECONDS: Final = {
    Purpose.FIRST_ADMIN: DAY,
    Purpose.INVITATION: 7 * DAY,
    Purpose.PASSWORD: DAY,
    Purpose.SECOND_FACTOR: 300,
}
PATH: Final = "/link/"
"""What a link's secret stands behind."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What somebody becomes who makes an account by a link."""

    organisation: str | None = None
    role: Role | None = None
    """In the organisation; None: none but by teams and grants."""
    is_admin: bool = False
    """Of the hub."""
    note: str = ""
    """Whom it is meant for, for the list of invitations."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A link as whoever has it may see it."""

    purpose: Purpose
    user: str | None
    """Whose password it sets; None where it makes an account."""
    organisation: str | None


class Links:
    """Makes, lists, revokes and honours them."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    # Making

    async def first_admin(self) -> str | None:
        """A link's secret for whoever is to be the first administrator; None where there is one."""
        secret, new = _new(Purpose.FIRST_ADMIN)
        return secret if await self._database.write(_make_first_admin, new) else None

    async def invite(self, by: By, invitation: Invitation) -> tuple[Link, str]:
        """An invitation, and the secret of its link.

        Raises `Invalid`, `Unknown` where there is no such organisation.
        """
        check_line("a note", invitation.note)
        details = {
            "organisation": invitation.organisation,
            "role": invitation.role,
            "is_admin": invitation.is_admin,
            "note": invitation.note,
        }
        secret, new = _new(Purpose.INVITATION, by=by, details=details)
        return await self._database.write(_invite, by, new), secret

    async def for_password(self, by: By, user: User) -> str:
        """The secret of a link that lets a user choose a password; earlier ones are void.

        Raises `Conflict` where the user is disabled.
        """
        if user.is_disabled:
            raise Conflict(f"{user.name} is disabled; enable the account before")
        secret, new = _new(Purpose.PASSWORD, user=user, by=by)
        await self._database.write(_make_for_password, by, user, new)
        return secret

    async def for_code(self, user: User) -> str:
        """What stands for a user's right password until the code of their second factor comes."""
        secret, new = _new(Purpose.SECOND_FACTOR, user=user)
        await self._database.write(links.add, new)
        return secret

    # Listing

    async def invitations(self) -> list[Link]:
        """Those that nobody has used yet, the newest first."""
        return await self._database.read(links.of_purpose, Purpose.INVITATION)

    async def revoke_invitation(self, by: By, link_id: str) -> None:
        """It is void.  Raises `Unknown`."""
        await self._database.write(_revoke_invitation, by, link_id)

    # Honouring

    async def find(self, secret: str) -> Shown:
        """What a link is for, which stays as it is.  Raises `Unknown`."""
        if not is_secret(secret, Prefix.LINK):
            raise _gone()
        return await self._database.read(_show, hashed(secret))

    async def accept(self, secret: str, name: str, password: str, origin: str = "") -> User:
        """Make the account that the link promises.

        Raises `Unknown`, and as long as the link stays good `Invalid`, `Taken`, `TooManyLogins`.
        """
        if (await self.find(secret)).user is not None:
            raise _gone()
        parse_account_name(name)
        self._passwords.check(password, name)
        new = NewUser(name, await self._passwords.hash(password))
        return await self._database.write(_accept, hashed(secret), new, origin)

    async def set_password(self, secret: str, password: str, origin: str = "") -> User:
        """Let the password of the link's account be that.  Raises as `accept`."""
        shown = await self.find(secret)
        if shown.user is None:
            raise _gone()
        self._passwords.check(password, shown.user)
        hashed_password = await self._passwords.hash(password)
        return await self._database.write(_set_password, hashed(secret), hashed_password, origin)

    async def user_for_code(self, secret: str) -> User:
        """Whose code is waited for.  Raises `Unknown`."""
        return await self._database.read(_user_for_code, hashed(secret))

    async def use_up(self, secret: str) -> None:
        """It is good no longer."""
        await self._database.write(links.take, hashed(secret))


def _new(
    purpose: Purpose,
    *,
    user: User | None = None,
    by: By | None = None,
    details: Mapping[str, object] | None = None,
) -> tuple[str, NewLink]:
    secret = new_secret(Prefix.LINK)
    lifetime = round(1000 * LIFETIME_SECONDS[purpose])
    user_id = user.id if user is not None else None
    made_by = by.actor if by is not None else ""
    return secret, NewLink(
        new_id(), hashed(secret), purpose, lifetime, user_id, details or {}, made_by
    )


def _gone() -> Unknown:
    return Unknown("this link has been used, or has expired, or never was one")


def _make_first_admin(tx: Connection, new: NewLink) -> bool:
    if users.has_admin(tx):
        return False
    links.add(tx, new)
    return True


def _invite(tx: Connection, by: By, new: NewLink) -> Link:
    organisation = new.details["organisation"]
    if organisation is not None:
        found = namespaces.find(tx, organisation)
        if found is None or not found.is_organisation:
            raise Unknown(f"there is no organisation {organisation}")
    links.add(tx, new)
    deed = Deed("invitation.made", f"invitation:{new.id}", organisation or "", new.details)
    audit.record(tx, by, deed)
    link = links.find(tx, new.hash)
    assert link is not None
    return link


def _make_for_password(tx: Connection, by: By, user: User, new: NewLink) -> None:
    links.revoke_of_user(tx, user.id)
    links.add(tx, new)
    audit.record(tx, by, Deed("user.password-link-made", f"user:{user.name}"))


def _revoke_invitation(tx: Connection, by: By, link_id: str) -> None:
    known = {link.id: link for link in links.of_purpose(tx, Purpose.INVITATION)}
    if link_id not in known:
        raise Unknown("there is no such invitation")
    links.revoke(tx, link_id)
    organisation = known[link_id].details.get("organisation") or ""
    audit.record(tx, by, Deed("invitation.revoked", f"invitation:{link_id}", organisation))


def _show(tx: Connection, hash: bytes) -> Shown:
    link = links.find(tx, hash)
    if link is None or link.purpose is Purpose.SECOND_FACTOR:
        raise _gone()
    user = None if link.user_id is None else users.get(tx, link.user_id)
    return Shown(link.purpose, user.name if user else None, link.details.get("organisation"))


def _taken(tx: Connection, hash: bytes, *purposes: Purpose) -> Link:
    link = links.take(tx, hash)
    if link is None or link.purpose not in purposes:
        raise _gone()
    return link


def _accept(tx: Connection, hash: bytes, new: NewUser, origin: str) -> User:
    link = _taken(tx, hash, Purpose.FIRST_ADMIN, Purpose.INVITATION)
    is_first = link.purpose is Purpose.FIRST_ADMIN
    if is_first:
        if users.has_admin(tx):
            raise _gone()
        links.revoke_of_purpose(tx, Purpose.FIRST_ADMIN)
    is_admin = is_first or bool(link.details.get("is_admin"))
    by = By(new.name, origin)
    made = NewUser(new.name, new.password_hash, is_admin, new.full_name, new.email)
    user = accounts.create(tx, by, made)
    _join(tx, by, user, link)
    return user


def _join(tx: Connection, by: By, user: User, link: Link) -> None:
    """Become a member of the organisation of an invitation, if it is still there."""
    name, role = link.details.get("organisation"), link.details.get("role")
    organisation = namespaces.lock(tx, name) if name else None
    if organisation is None or not organisation.is_organisation:
        return
    members.put(tx, organisation.name, user.id, None if role is None else Role(role))
    details = {"user": user.name, "role": role, "invited by": link.made_by}
    deed = Deed("member.set", f"organisation:{name}", organisation.name, details)
    audit.record(tx, by, deed)


def _set_password(tx: Connection, hash: bytes, hashed_password: str, origin: str) -> User:
    link = _taken(tx, hash, Purpose.PASSWORD)
    user = None if link.user_id is None else users.get(tx, link.user_id)
    if user is None or user.is_disabled:
        raise _gone()
    accounts.set_password(tx, By(user.name, origin), user, hashed_password)
    login_failures.forgive(tx, user.name)
    return user


def _user_for_code(tx: Connection, hash: bytes) -> User:
    link = links.find(tx, hash)
    if link is None or link.purpose is not Purpose.SECOND_FACTOR or link.user_id is None:
        raise Unknown("this login has taken too long; begin again")
    user = users.get(tx, link.user_id)
    if user is None or user.is_disabled:
        raise Unknown("this login has ended; begin again")
    return user
