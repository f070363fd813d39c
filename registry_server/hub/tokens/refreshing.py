"""Logins that clients keep in the place of a password: refresh tokens.

One is good until it is revoked, its account or its access token ends, or nobody uses it for as long
as `auth.hub.tokens.refresh` says.  It does not change when it is used: a client that asks for many
tokens at once would lose all but one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol

from sqlalchemy import Connection

from registry_server.auth.access import CredentialsRefused
from registry_server.hub.callers import Caller, Kind, Via
from registry_server.hub.errors import Unknown
from registry_server.hub.records import audit
from registry_server.hub.records import refresh_tokens as records
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.refresh_tokens import Holder, NewRefreshToken, RefreshToken
from registry_server.hub.records.users import User
from registry_server.hub.secrets import Prefix, hashed, is_secret, new_id, new_secret
from registry_server.settings.hub import HubTokenSettings
from registry_storage.databases import Database

NOTED_EVERY: Final = 60_000
"""Milliseconds: that it was used is written down once in so long at most."""


class Accounts(Protocol):
    """What has become of an account since it logged in."""

    async def current(self, kind: Kind, account: int, credential: str) -> Caller:
        """As it is now; `credential` is the id of an access token, or empty.

        Raises `CredentialsRefused` where it, or that token, is no longer good.
        """


class RefreshTokenRefused(CredentialsRefused):
    """It is not, or no longer, good."""

    @property
    def told(self) -> str:
        return "this login has ended; log in again"


class RefreshTokens:
    """Hands them out, and takes them for their account."""

    def __init__(self, database: Database, accounts: Accounts, settings: HubTokenSettings) -> None:
        self._database = database
        self._accounts = accounts
        self._lifetime = round(1000 * settings.refresh)

    async def issue(self, by: By, caller: Caller, service: str, client_id: str) -> str:
        """A new one for a user or a robot that has just logged in."""
        secret = new_secret(Prefix.REFRESH_TOKEN)
        new = NewRefreshToken(
            new_id(), hashed(secret), _holder(caller), service, client_id, self._lifetime
        )
        await self._database.write(_issue, by, caller, new)
        return secret

    async def of_user(self, user: User) -> list[RefreshToken]:
        """A user's, the newest first."""
        return await self._database.read(records.of_user, user.id)

    async def revoke(self, by: By, user: User, token_id: str) -> None:
        """It is no longer good.  Raises `Unknown`."""
        await self._database.write(_revoke, by, user, token_id)

    async def revoke_all(self, by: By, user: User) -> None:
        """None of a user's is good any longer."""
        await self._database.write(_revoke_all, by, user)

    async def redeem(self, secret: str, origin: str) -> Caller:
        """Whose it is.  `origin` is the address that it came from.

        Raises `RefreshTokenRefused`, `CredentialsRefused`.
        """
        if not is_secret(secret, Prefix.REFRESH_TOKEN):
            raise RefreshTokenRefused
        found = await self._database.read(records.find, hashed(secret))
        if found is None:
            raise RefreshTokenRefused
        token, now = found
        caller = await self._current(token.holder)
        if token.used_at is None or token.used_at < now - NOTED_EVERY:
            await self._database.write_unflushed(records.used, token.id, origin, self._lifetime)
        return replace(caller, via=Via.REFRESH_TOKEN)

    async def _current(self, holder: Holder) -> Caller:
        if holder.robot_id is not None:
            return await self._accounts.current(Kind.ROBOT, holder.robot_id, "")
        assert holder.user_id is not None
        return await self._accounts.current(Kind.USER, holder.user_id, holder.access_token_id or "")


def _issue(tx: Connection, by: By, caller: Caller, new: NewRefreshToken) -> None:
    records.add(tx, new)
    namespace = caller.name.partition("+")[0] if caller.kind is Kind.ROBOT else ""
    details = {"id": new.id, "client": new.client_id}
    audit.record(tx, by, Deed("login.created", f"{caller.kind}:{caller.name}", namespace, details))


def _revoke(tx: Connection, by: By, user: User, token_id: str) -> None:
    if not records.revoke(tx, user.id, token_id):
        raise Unknown("there is no such login")
    _record_revoked(tx, by, user, id=token_id)


def _revoke_all(tx: Connection, by: By, user: User) -> None:
    _record_revoked(tx, by, user, number=records.revoke_of_user(tx, user.id))


def _record_revoked(tx: Connection, by: By, user: User, **details: object) -> None:
    audit.record(tx, by, Deed("login.revoked", f"user:{user.name}", details=details))


def _holder(caller: Caller) -> Holder:
    assert caller.account is not None
    if caller.kind is Kind.ROBOT:
        return Holder(robot_id=caller.account)
    by_token = caller.via is Via.ACCESS_TOKEN
    return Holder(caller.account, access_token_id=caller.credential if by_token else None)
