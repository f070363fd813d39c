"""The routes of the pages: logging in and out, links that work once, registration."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from registry_server.auth.access import CredentialsRefused, TooManyLogins
from registry_server.hub.accounts.links import Shown
from registry_server.hub.accounts.sessions import Browser, Opened
from registry_server.hub.accounts.signing_in import CodeNeeded
from registry_server.hub.errors import HubError, Unknown
from registry_server.hub.pages.places import HOME, local_path
from registry_server.hub.pages.rendering import STYLE_PATH, page, style_sheet
from registry_server.hub.records.audit import By
from registry_server.hub.records.links import Purpose
from registry_server.hub.web.cookies import clear_session, session_secret, set_session
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.problems import problem_of
from registry_server.hub.web.routes import Call, Input, Route

LOGIN_PATH: Final = "/login"
OPENID_PATH: Final = "/login/oidc"
"""Where a login at an OpenID provider begins."""
CODE_PATH: Final = "/login/code"
LOGOUT_PATH: Final = "/logout"
REGISTER_PATH: Final = "/register"
LINK_PATH: Final = "/link/{secret}"

_REFUSALS: Final = (CredentialsRefused, TooManyLogins, HubError)


class Next(Input):
    """Where to go when that is done."""

    next: str = HOME


class PasswordForm(Next):
    """The form of a login."""

    name: str
    password: str


class CodeForm(Next):
    """The form of its second half."""

    login: str
    code: str


class LogoutForm(Input):
    """The form of a logout."""

    csrf: str = ""


class RegistrationForm(Input):
    """The form of a new account."""

    name: str
    password: str


class LinkForm(Input):
    """The form behind a link."""

    name: str = ""
    password: str


# Logging in and out


async def home(call: Call) -> web.Response:
    """Say who is logged in."""
    if call.caller.is_anonymous:
        return _go(LOGIN_PATH)
    return page("home", name=call.caller.name, csrf=call.csrf or "")


async def show_login(call: Call, query: Next) -> web.Response:
    """Ask for name and password."""
    if not call.caller.is_anonymous:
        return _go(local_path(query.next))
    return login_page(call, query.next)


async def log_in(call: Call, form: PasswordForm) -> web.Response:
    """Take name and password, and begin a session or ask for the code."""
    sign_in = call.hub.accounts.sign_in
    try:
        done = await sign_in.by_password(form.name, form.password, browser_of(call))
    except _REFUSALS as error:
        return login_page(call, form.next, name=form.name, error=error)
    if isinstance(done, CodeNeeded):
        return page("code", next=local_path(form.next), login=done.secret, error="")
    return begin_session(call, done, form.next)


async def take_code(call: Call, form: CodeForm) -> web.Response:
    """Take the code of the second factor, and begin a session."""
    try:
        opened = await call.hub.accounts.sign_in.by_code(form.login, form.code, browser_of(call))
    except Unknown as error:
        return login_page(call, form.next, error=error)
    except _REFUSALS as error:
        values = {"next": local_path(form.next), "login": form.login}
        return _refused("code", error, **values)
    return begin_session(call, opened, form.next)


async def log_out(call: Call, form: LogoutForm) -> web.Response:
    """End the session."""
    secret = session_secret(call.request)
    if secret is not None:
        await call.hub.accounts.sessions.end(secret)
    answer = _go(LOGIN_PATH)
    clear_session(call.request, answer)
    return answer


def begin_session(call: Call, opened: Opened, following: str) -> web.Response:
    """Give the browser its session, and send it on to where it wanted to go."""
    answer = _go(local_path(following))
    set_session(call.request, answer, opened.secret)
    return answer


def browser_of(call: Call) -> Browser:
    """What a login comes from."""
    return Browser(
        origin=call.origin,
        user_agent=call.request.headers.get("User-Agent", ""),
        request_id=call.request_id,
        session=session_secret(call.request),
    )


# Accounts


async def show_registration(call: Call) -> web.Response:
    """Ask for name and password of a new account."""
    if call.hub.settings.registration != "open":
        raise Unknown("accounts are made by administrators here")
    return page("register", error="", name="", least=_least(call))


async def register(call: Call, form: RegistrationForm) -> web.Response:
    """Make the account, and begin a session."""
    by = By(form.name, call.origin, call.request_id)
    try:
        user = await call.hub.accounts.users.register(by, form.name, form.password)
    except _REFUSALS as error:
        return _refused("register", error, name=form.name, least=_least(call))
    opened = await call.hub.accounts.sessions.open(user, browser_of(call), "registration")
    return begin_session(call, opened, HOME)


async def show_link(call: Call, secret: str) -> web.Response:
    """Show what a link is for; it stays as it is."""
    try:
        shown = await call.hub.accounts.links.find(secret)
    except Unknown as error:
        return page("gone", status=404, message=str(error))
    return page("link", error="", name="", **_told(call, shown))


async def use_link(call: Call, secret: str, form: LinkForm) -> web.Response:
    """Do what the link is for, once."""
    links = call.hub.accounts.links
    try:
        shown = await links.find(secret)
    except Unknown as error:
        return page("gone", status=404, message=str(error))
    try:
        if shown.user is None:
            if shown.purpose is Purpose.INVITATION:
                await call.hub.repositories.refuse_heir(form.name)
            user = await links.accept(secret, form.name, form.password, call.origin)
        else:
            user = await links.set_password(secret, form.password, call.origin)
    except _REFUSALS as error:
        return _refused("link", error, name=form.name, **_told(call, shown))
    opened = await call.hub.accounts.sign_in.by_link(user, browser_of(call))
    return begin_session(call, opened, HOME) if opened is not None else _go(LOGIN_PATH)


async def show_style(call: Call) -> web.Response:
    """The style sheet."""
    return style_sheet()


ROUTES: Final = (
    Route("GET", HOME, Policy.ANYONE, home),
    Route("GET", LOGIN_PATH, Policy.ANYONE, show_login),
    Route("POST", LOGIN_PATH, Policy.UNIDENTIFIED, log_in),
    Route("POST", CODE_PATH, Policy.UNIDENTIFIED, take_code),
    Route("POST", LOGOUT_PATH, Policy.ANYONE, log_out),
    Route("GET", REGISTER_PATH, Policy.UNIDENTIFIED, show_registration),
    Route("POST", REGISTER_PATH, Policy.UNIDENTIFIED, register),
    Route("GET", LINK_PATH, Policy.UNIDENTIFIED, show_link),
    Route("POST", LINK_PATH, Policy.UNIDENTIFIED, use_link),
    Route("GET", STYLE_PATH, Policy.UNIDENTIFIED, show_style),
)


def login_page(
    call: Call, following: str, *, name: str = "", error: Exception | None = None
) -> web.Response:
    """The form of a login, where something went wrong with what that is."""
    oidc = call.hub.settings.oidc
    values: dict[str, Any] = {
        "next": local_path(following),
        "name": name,
        "provider": oidc.name if oidc is not None else "",
        "openid_path": OPENID_PATH,
        "may_register": call.hub.settings.registration == "open",
    }
    if error is None:
        return page("login", error="", **values)
    return _refused("login", error, **values)


def _refused(template: str, error: Exception, **values: Any) -> web.Response:
    """The form once more, with what was wrong.

    No page answers 401, for which browsers would show a window of their own.
    """
    problem = problem_of(error)
    headers = {k: v for k, v in problem.headers.items() if k == "Retry-After"}
    status = 403 if problem.status == 401 else problem.status
    return page(template, status=status, headers=headers, error=str(problem), **values)


def _told(call: Call, shown: Shown) -> dict[str, Any]:
    return {
        "user": shown.user,
        "organisation": shown.organisation,
        "is_first": shown.purpose is Purpose.FIRST_ADMIN,
        "least": _least(call),
    }


def _least(call: Call) -> int:
    """Characters of a password."""
    return call.hub.settings.passwords.minlength


def _go(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})
