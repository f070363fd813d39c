"""Logins of clients that keep no password, such as `docker login` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import Field

from registry_server.hub.api.models import Identifier, Listing, moment, moment_or_none
from registry_server.hub.api.own import own
from registry_server.hub.records.refresh_tokens import RefreshToken
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Output, Route


class ClientLogin(Output):
    id: str
    client: str = Field(description="What the client calls itself, such as `docker`.")
    access_token: str | None = Field(
        description="The id of the access token that it was made with; null: with the password."
    )
    created_at: datetime
    expires_at: datetime = Field(description="Each use moves this on.")
    used_at: datetime | None
    used_from: str = Field(description="The address that it was last used from.")


async def list_client_logins(call: Call) -> Listing[ClientLogin]:
    """List the logins of the caller's clients, the newest first."""
    found = await call.hub.refresh_tokens.of_user(await own(call))
    return Listing(items=[_shown(login) for login in found])


async def end_client_login(call: Call, login: Identifier) -> None:
    """End the login of one of the caller's clients."""
    await call.hub.refresh_tokens.revoke(call.by, await own(call), login)


async def end_client_logins(call: Call) -> None:
    """End the logins of all of the caller's clients."""
    await call.hub.refresh_tokens.revoke_all(call.by, await own(call))


def _shown(login: RefreshToken) -> ClientLogin:
    return ClientLogin(
        id=login.id,
        client=login.client_id,
        access_token=login.holder.access_token_id,
        created_at=moment(login.created_at),
        expires_at=moment(login.expires_at),
        used_at=moment_or_none(login.used_at),
        used_from=login.used_from,
    )


_ALL: Final = "/api/v1/me/client-logins"

ROUTES: Final[Sequence[Route]] = (
    Route("GET", _ALL, Policy.ACCOUNT, list_client_logins),
    Route("DELETE", _ALL, Policy.ACCOUNT, end_client_logins),
    Route("DELETE", f"{_ALL}/{{login}}", Policy.ACCOUNT, end_client_login),
)
