"""Where a browser is sent to the OpenID provider, and where it comes back.

GET /login/oidc?next=/…     off to the provider
GET /login/oidc/callback    back, with a code that stands for who that is
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from registry_server.auth.access import CredentialsRefused
from registry_server.hub.accounts.identities import NoAccount
from registry_server.hub.errors import HubError, Unknown
from registry_server.hub.login import flows
from registry_server.hub.login.flows import Flow
from registry_server.hub.login.provider import LoginFailed, Provider
from registry_server.hub.pages.routes import (
    OPENID_PATH,
    Next,
    begin_session,
    browser_of,
    login_page,
)
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Route
from registry_server.limits import TooManyRequests

CALLBACK_PATH: Final = f"{OPENID_PATH}/callback"
_COUNTED_AS: Final = "(openid)"
"""The name that failures count for: nobody's, for nobody has said yet who they are."""
_REFUSALS: Final = (CredentialsRefused, HubError, TooManyRequests)


async def begin(call: Call, query: Next) -> web.Response:
    """Send the browser to the provider."""
    provider = _provider(call)
    flow = Flow.begin(query.next, provider.clock())
    try:
        url = await provider.authorization_url(flow, _callback(call))
    except HubError as error:
        return login_page(call, query.next, error=error)
    answer = web.Response(status=303, headers={"Location": url})
    flow.keep(call.request, answer)
    return answer


async def finish(call: Call) -> web.Response:
    """Take what the provider says of the browser's user, and begin a session."""
    provider = _provider(call)
    flow = Flow.read(call.request, provider.clock())
    try:
        answer = await _finish(call, provider, flow)
    except _REFUSALS as error:
        answer = login_page(call, flow.following if flow is not None else "", error=error)
    flows.forget(call.request, answer)
    return answer


ROUTES: Final = (
    Route("GET", OPENID_PATH, Policy.UNIDENTIFIED, begin),
    Route("GET", CALLBACK_PATH, Policy.UNIDENTIFIED, finish),
)


async def _finish(call: Call, provider: Provider, flow: Flow | None) -> web.Response:
    if flow is None:
        raise LoginFailed("the login took too long, or began in another browser; log in again")
    limit = call.hub.limits.logins
    limit.charge(call.origin, _COUNTED_AS)
    identity = await provider.identify(_parameters(call), flow, _callback(call))
    limit.forgive(call.origin, _COUNTED_AS)
    accounts = call.hub.accounts
    try:
        user = await accounts.users.from_identity(identity, provider.settings)
    except NoAccount as error:
        raise LoginFailed(str(error)) from None
    opened = await accounts.sign_in.by_identity(user, browser_of(call), identity.issuer)
    return begin_session(call, opened, flow.following)


def _provider(call: Call) -> Provider:
    if call.hub.provider is None:
        raise Unknown("there is no OpenID provider (auth.hub.oidc)")
    return call.hub.provider


def _parameters(call: Call) -> dict[str, str]:
    """What the provider has sent along; providers add some of their own."""
    query = call.request.query
    twice = [name for name in ("state", "code", "iss", "error") if len(query.getall(name, ())) > 1]
    if twice:
        raise LoginFailed(f"the answer has {', '.join(twice)} more than once")
    return dict(query)


def _callback(call: Call) -> str:
    return f"{call.base_url}{CALLBACK_PATH}"
