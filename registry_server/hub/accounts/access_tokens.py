"""Personal access tokens: secrets for programs, which do less than their user, and end.

A secret is shown once.  What a token may do is what its user may do at that time, narrowed.
"""

from __future__ import annotations

from sqlalchemy import Connection

from registry_server.hub.accounts.checks import check_lifetime, check_limits, check_title
from registry_server.hub.errors import Unknown
from registry_server.hub.records import access_tokens, audit
from registry_server.hub.records.access_tokens import AccessToken, NewAccessToken
from registry_server.hub.records.audit import By, Deed
from registry_server.hub.records.users import User
from registry_server.hub.roles import Limit
from registry_server.hub.secrets import Prefix, hashed, new_id, new_secret
from registry_storage.databases import Database


class AccessTokens:
    """Makes, lists and revokes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        by: By,
        user: User,
        name: str,
        *,
        limits: tuple[Limit, ...] | None = None,
        lifetime: float | None = None,
    ) -> tuple[AccessToken, str]:
        """A new one, and its secret.

        It may do no more than `limits` say, None: all that its user may; it ends after `lifetime`
        seconds, None: when it is revoked.  Raises `Invalid`, `Taken`, `Conflict`.
        """
        check_title(name)
        check_limits(limits or ())
        secret = new_secret(Prefix.ACCESS_TOKEN)
        new = NewAccessToken(
            new_id(), hashed(secret), user.id, name, limits, check_lifetime(lifetime)
        )
        return await self._database.write(_create, by, user, new), secret

    async def of_user(self, user: User) -> list[AccessToken]:
        """A user's, expired ones included, by name."""
        return await self._database.read(access_tokens.of_user, user.id)

    async def revoke(self, by: By, user: User, token_id: str) -> None:
        """It is no longer good, nor is what was got with it.  Raises `Unknown`."""
        await self._database.write(_revoke, by, user, token_id)


def _create(tx: Connection, by: By, user: User, new: NewAccessToken) -> AccessToken:
    token = access_tokens.add(tx, new)
    _record(tx, by, "token.created", user, token)
    return token


def _revoke(tx: Connection, by: By, user: User, token_id: str) -> None:
    owned = [token for token in access_tokens.of_user(tx, user.id) if token.id == token_id]
    if not owned or not access_tokens.revoke(tx, user.id, token_id):
        raise Unknown("there is no such access token")
    _record(tx, by, "token.revoked", user, owned[0])


def _record(tx: Connection, by: By, action: str, user: User, token: AccessToken) -> None:
    details = {"token": token.name, "id": token.id}
    audit.record(tx, by, Deed(action, f"user:{user.name}", user.name, details))
