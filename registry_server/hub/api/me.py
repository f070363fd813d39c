"""The caller's own account: who they are, their password, their second factor, their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field

from registry_server.hub.api.models import (
    Identifier,
    LimitModel,
    Line,
    Listing,
    Password,
    Title,
    moment,
    moment_or_none,
)
from registry_server.hub.api.own import own
from registry_server.hub.api.sessions import CurrentSession, browser_of, entered
from registry_server.hub.callers import Kind, Via
from registry_server.hub.records.access_tokens import AccessToken as TokenRow
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Input, Output, Route
from registry_server.settings.section import DAY

Lifetime = Annotated[int, Field(ge=1, le=3660 * DAY)]
"""In seconds."""


class Profile(Input):
    full_name: Line = ""
    email: Line = ""


class Me(Output):
    kind: Kind
    name: str
    full_name: str
    email: str
    is_admin: bool
    has_second_factor: bool
    via: Via = Field(description="What was shown with this request.")
    limits: Sequence[LimitModel] | None = Field(
        description="What these credentials are narrowed to; null: to nothing less than all."
    )


class PasswordChange(Input):
    current_password: Password
    new_password: Password


class PasswordAgain(Input):
    password: Password


class Code(Input):
    code: Line


class SecondFactor(Output):
    since: datetime | None = Field(description="Since when it is in force; null: it is not.")
    recovery_codes_left: int


class SecondFactorOffer(Output):
    seed: str = Field(description="In base32, for typing into an authenticator.")
    uri: str = Field(description="`otpauth://…`, for a QR code.")


class RecoveryCodes(Output):
    codes: Sequence[str] = Field(description="Each works once. They are not shown again.")


class StrongerSession(CurrentSession):
    """A session that goes on by another secret, for it takes two factors from now on."""

    codes: Sequence[str] = Field(description="To recover by, each once. Not shown again.")


class NewAccessToken(Input):
    name: Title
    limits: Annotated[Sequence[LimitModel], Field(max_length=50)] | None = Field(
        None, description="What it may do at most; null: all that its user may."
    )
    expires_in: Lifetime | None = Field(None, description="Seconds; null: when it is revoked.")


class AccessToken(Output):
    id: str
    name: str
    limits: Sequence[LimitModel] | None
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    used_from: str = Field(description="The address that it was used from last.")


class CreatedAccessToken(AccessToken):
    secret: str = Field(description="It is not shown again.")


async def get_me(call: Call) -> Me:
    """Show who calls, and how far the credentials go."""
    caller = call.caller
    user = await own(call) if caller.kind is Kind.USER else None
    return Me(
        kind=caller.kind,
        name=caller.name,
        full_name=user.full_name if user else "",
        email=user.email if user else "",
        is_admin=caller.is_admin and caller.limits is None,
        has_second_factor=user is not None and user.has_second_factor,
        via=caller.via,
        limits=None if caller.limits is None else [LimitModel.of(one) for one in caller.limits],
    )


async def describe_me(call: Call, body: Profile) -> None:
    """Say what the caller is called in full, and their address."""
    user = await own(call)
    await call.hub.accounts.users.describe(call.by, user, body.full_name, body.email)


async def change_password(call: Call, body: PasswordChange) -> CurrentSession:
    """Change the caller's password, which ends all their other sessions."""
    opened = await call.hub.accounts.sign_in.change_password(
        call.caller, body.current_password, body.new_password, browser_of(call)
    )
    return entered(call, opened)


async def get_second_factor(call: Call) -> SecondFactor:
    """Show whether the caller has a second factor."""
    user = await own(call)
    return SecondFactor(
        since=moment_or_none(user.second_factor_since),
        recovery_codes_left=await call.hub.accounts.second_factor.codes_left(user),
    )


async def begin_second_factor(call: Call, body: PasswordAgain) -> SecondFactorOffer:
    """Make a seed for an authenticator; a code of it puts it in force."""
    user = await call.hub.accounts.sign_in.confirmed(call.caller, body.password, browser_of(call))
    offer = await call.hub.accounts.second_factor.offer(user)
    return SecondFactorOffer(seed=offer.seed, uri=offer.uri)


async def confirm_second_factor(call: Call, body: Code) -> StrongerSession:
    """Put the second factor in force, which ends the caller's other sessions."""
    opened, codes = await call.hub.accounts.sign_in.confirm_second_factor(
        call.caller, body.code, browser_of(call)
    )
    session = entered(call, opened)
    return StrongerSession(user=session.user, csrf=session.csrf, codes=codes)


async def renew_recovery_codes(call: Call) -> RecoveryCodes:
    """Make new recovery codes; the old ones are void."""
    codes = await call.hub.accounts.second_factor.renew_codes(call.by, await own(call))
    return RecoveryCodes(codes=codes)


async def remove_second_factor(call: Call, body: PasswordAgain) -> CurrentSession:
    """Remove the second factor."""
    opened = await call.hub.accounts.sign_in.remove_second_factor(
        call.caller, body.password, browser_of(call)
    )
    return entered(call, opened)


async def list_access_tokens(call: Call) -> Listing[AccessToken]:
    """List the caller's access tokens, by name."""
    found = await call.hub.accounts.access_tokens.of_user(await own(call))
    return Listing(items=[AccessToken(**_fields(token)) for token in found])


async def create_access_token(call: Call, body: NewAccessToken) -> CreatedAccessToken:
    """Make an access token, whose secret is shown this once."""
    limits = None if body.limits is None else tuple(one.limit() for one in body.limits)
    token, secret = await call.hub.accounts.access_tokens.create(
        call.by, await own(call), body.name, limits=limits, lifetime=body.expires_in
    )
    return CreatedAccessToken(**_fields(token), secret=secret)


async def revoke_access_token(call: Call, token: Identifier) -> None:
    """Revoke one of the caller's access tokens."""
    await call.hub.accounts.access_tokens.revoke(call.by, await own(call), token)


def _fields(token: TokenRow) -> dict[str, Any]:
    limits = None if token.limits is None else [LimitModel.of(one) for one in token.limits]
    return {
        "id": token.id,
        "name": token.name,
        "limits": limits,
        "created_at": moment(token.created_at),
        "expires_at": moment_or_none(token.expires_at),
        "used_at": moment_or_none(token.used_at),
        "used_from": token.used_from,
    }


_ME: Final = "/api/v1/me"
_FACTOR: Final = f"{_ME}/second-factor"
_TOKENS: Final = f"{_ME}/access-tokens"

ROUTES: Final[Sequence[Route]] = (
    Route("GET", _ME, Policy.SIGNED_IN, get_me),
    Route("PUT", _ME, Policy.ACCOUNT, describe_me),
    Route("PUT", f"{_ME}/password", Policy.SESSION, change_password),
    Route("GET", _FACTOR, Policy.SESSION, get_second_factor),
    Route("POST", _FACTOR, Policy.SESSION, begin_second_factor, 201),
    Route("PUT", _FACTOR, Policy.SESSION, confirm_second_factor),
    Route("POST", f"{_FACTOR}/recovery-codes", Policy.SESSION, renew_recovery_codes, 201),
    Route("POST", f"{_FACTOR}/removal", Policy.SESSION, remove_second_factor),
    Route("GET", _TOKENS, Policy.ACCOUNT, list_access_tokens),
    Route("POST", _TOKENS, Policy.SESSION, create_access_token, 201),
    Route("DELETE", f"{_TOKENS}/{{token}}", Policy.ACCOUNT, revoke_access_token),
)
