"""Sessions of browsers: logging in and out, and which there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import Field

from registry_server.hub.accounts.sessions import Browser, Opened
from registry_server.hub.accounts.signing_in import CodeNeeded
from registry_server.hub.api.models import Identifier, Line, Listing, Password, moment
from registry_server.hub.api.own import own
from registry_server.hub.records import sessions as records
from registry_server.hub.web.cookies import session_secret
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.problems import Problem
from registry_server.hub.web.routes import Call, Input, Output, Route


class Login(Input):
    name: Line
    password: Password
    code: Line | None = Field(None, description="Of the second factor, where there is one.")


class CurrentSession(Output):
    user: str
    csrf: str = Field(description="What changes something repeats it as `X-CSRF-Token`.")


class Session(Output):
    id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    origin: str = Field(description="The address that it began from.")
    user_agent: str
    is_current: bool


async def log_in(call: Call, body: Login) -> CurrentSession:
    """Begin a session, whose cookie comes with the answer."""
    opened = await call.hub.accounts.sign_in.by_password(
        body.name, body.password, browser_of(call), body.code
    )
    if isinstance(opened, CodeNeeded):
        raise Problem(401, "code-needed", "send the code of the second factor, too")
    return entered(call, opened)


async def get_session(call: Call) -> CurrentSession:
    """Show whose session this is, and its token against forgery."""
    return CurrentSession(user=call.caller.name, csrf=call.csrf or "")


async def log_out(call: Call) -> None:
    """End this session."""
    await call.hub.accounts.sessions.end(session_secret(call.request) or "")
    call.set_session(None)


async def list_sessions(call: Call) -> Listing[Session]:
    """List the caller's sessions, the newest first."""
    account = (await own(call)).id
    found = await call.hub.accounts.sessions.of_user(account)
    return Listing(items=[_shown(session, call.caller.credential) for session in found])


async def end_session(call: Call, session: Identifier) -> None:
    """End one of the caller's sessions."""
    await call.hub.accounts.sessions.revoke(call.by, await own(call), session)


async def end_other_sessions(call: Call) -> None:
    """End all of the caller's sessions but this one."""
    await call.hub.accounts.sessions.revoke_all(
        call.by, await own(call), keep=call.caller.credential
    )


def entered(call: Call, opened: Opened) -> CurrentSession:
    """Give the browser a session that has just begun, or goes on by another secret."""
    call.set_session(opened.secret)
    return CurrentSession(user=opened.user, csrf=opened.csrf)


def browser_of(call: Call) -> Browser:
    """What the request comes from."""
    return Browser(
        call.origin,
        call.request.headers.get("User-Agent", "")[:256],
        call.request_id,
        session_secret(call.request),
    )


def _shown(session: records.Session, current: str) -> Session:
    return Session(
        id=session.id,
        created_at=moment(session.created_at),
        seen_at=moment(session.seen_at),
        expires_at=moment(session.expires_at),
        origin=session.origin,
        user_agent=session.user_agent,
        is_current=session.id == current,
    )


_CURRENT: Final = "/api/v1/session"
_ALL: Final = "/api/v1/me/sessions"

ROUTES: Final[Sequence[Route]] = (
    Route("POST", _CURRENT, Policy.UNIDENTIFIED, log_in, 201),
    Route("GET", _CURRENT, Policy.SESSION, get_session),
    Route("DELETE", _CURRENT, Policy.SESSION, log_out),
    Route("GET", _ALL, Policy.SESSION, list_sessions),
    Route("DELETE", _ALL, Policy.SESSION, end_other_sessions),
    Route("DELETE", f"{_ALL}/{{session}}", Policy.SESSION, end_session),
)
