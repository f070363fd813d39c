"""Sessions of browsers: kept here, known there by a secret in a cookie.

One ends when it was not used for `auth.hub.sessions.idle`, and in any case after
`auth.hub.sessions.lifetime`.  Its secret changes whenever what it stands for does.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from registry_server.hub.callers import Caller, Kind, Via
from registry_server.hub.errors import Unknown
from registry_server.hub.records import audit, sessions, users
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.sessions import NewSession, Owned, Session
from registry_server.hub.records.users import User
from registry_server.hub.secrets import Prefix, hashed, is_secret, new_id, new_secret
from registry_server.settings.hub import SessionSettings
from registry_storage.databases import Database

NOTED_EVERY: Final = 60_000
"""Milliseconds: that it was used is written down once in so long at most."""


@dataclass(frozen=True, slots=True)
class Browser:
    """What a login comes from."""

    origin: str
    """Its address."""
    user_agent: str = ""
    request_id: str = ""
    session: str | None = field(default=None, repr=False)
    """The secret of the session that it has already; that ends."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has just begun, or that goes on by another secret."""

    secret: str = field(repr=False)
    """For the cookie."""
    csrf: str = field(repr=False)
    user: str
    """Who is logged in."""


def csrf_of(secret: str) -> str:
    """What pages of that session repeat with whatever changes something."""
    return hmac.digest(secret.encode(), b"csrf", "sha256").hex()


class Sessions:
    """Begins, finds, lists and ends them."""

    def __init__(self, database: Database, settings: SessionSettings) -> None:
        self._database = database
        self._idle = round(1000 * settings.idle)
        self._lifetime = round(1000 * settings.lifetime)

    async def open(self, user: User, browser: Browser, how: str) -> Opened:
        """A new one, for somebody who has shown who they are; `how` is for the audit log."""
        secret = new_secret(Prefix.SESSION)
        agent = "".join(filter(str.isprintable, browser.user_agent))
        new = NewSession(new_id(), hashed(secret), user.id, self._lifetime, browser.origin, agent)
        await self._database.write(_open, user, new, browser, how)
        return Opened(secret, csrf_of(secret), user.name)

    async def find(self, secret: str) -> Owned | None:
        """The valid one, of a user who is not disabled; that it is used is noted."""
        if not is_secret(secret, Prefix.SESSION):
            return None
        owned = await self._database.read(sessions.find, hashed(secret), self._idle)
        if owned is not None and owned.session.seen_at < owned.now - self._noted_every:
            await self._database.write_unflushed(_seen, owned.session)
        return owned

    async def renew(self, caller: Caller) -> Opened:
        """The caller's session by another secret, for what it stands for has changed."""
        secret = new_secret(Prefix.SESSION)
        await self._database.write(sessions.renew, caller.credential, new_id(), hashed(secret))
        return Opened(secret, csrf_of(secret), caller.name)

    async def of_user(self, user_id: int) -> list[Session]:
        """A user's, the newest first."""
        return await self._database.read(sessions.of_user, user_id, self._idle)

    async def revoke(self, by: By, user: User, session_id: str) -> None:
        """End one of a user's.  Raises `Unknown`."""
        await self._database.write(_revoke, by, user, session_id)

    async def revoke_all(self, by: By, user: User, keep: str = "") -> None:
        """End all of a user's but the one with the id `keep`."""
        await self._database.write(_revoke_all, by, user, keep)

    async def end(self, secret: str) -> None:
        """End it, if it is one: its user logs out."""
        await self._database.write(sessions.revoke_by_hash, hashed(secret))

    @property
    def _noted_every(self) -> int:
        """Often enough that nobody is thrown out who is still there."""
        return min(NOTED_EVERY, self._idle // 10)


def caller_of(owned: Owned) -> Caller:
    """Who comes with that session."""
    session = owned.session
    return Caller(
        Kind.USER, owned.user_name, session.user_id, owned.is_admin, Via.SESSION, session.id
    )


def _open(tx: Connection, user: User, new: NewSession, browser: Browser, how: str) -> None:
    if browser.session is not None:
        sessions.revoke_by_hash(tx, hashed(browser.session))
    sessions.begin(tx, new)
    users.seen(tx, user.id)
    by = By(user.name, browser.origin, browser.request_id)
    audit.record(tx, by, Deed("user.login", f"user:{user.name}", details={"by": how}))


def _seen(tx: Connection, session: Session) -> None:
    sessions.seen(tx, session.id)
    users.seen(tx, session.user_id)


def _revoke(tx: Connection, by: By, user: User, session_id: str) -> None:
    if not sessions.revoke(tx, user.id, session_id):
        raise Unknown("there is no such session")
    audit.record(tx, by, Deed("session.revoked", f"user:{user.name}"))


def _revoke_all(tx: Connection, by: By, user: User, keep: str) -> None:
    number = sessions.revoke_of_user(tx, user.id, keep)
    audit.record(tx, by, Deed("session.revoked", f"user:{user.name}", details={"number": number}))
