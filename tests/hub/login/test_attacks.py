"""What a provider, or somebody who plays one, may send; and where the hub may be sent itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from registry_server.auth.keys import as_jwk, thumbprint
from registry_server.hub.login import outgoing, provider
from tests.hub.conftest import Served
from tests.hub.login.browser import Answer, Browser, a_browser
from tests.hub.login.conftest import SECRET, Serve, oidc
from tests.hub.login.scripted import ScriptedProvider, scripted, signed_by_public_key, unsigned


@dataclass(frozen=True, slots=True)
class World:
    """A hub, its provider, and a browser."""

    served: Served
    provider: ScriptedProvider
    browser: Browser

    async def log_in(self) -> Answer:
        """As far as it goes."""
        begun = await self.browser.begin()
        if begun.status != 303:
            return begun
        return await self.come_back(begun)

    async def come_back(self, begun: Answer, **more: str) -> Answer:
        code = self.provider.consent(begun.location)
        parameters = {"code": code, "state": begun.parameter("state"), **more}
        return await self.browser.go("/login/oidc/callback", params=parameters)


@pytest.fixture
async def world(serve_hub: Serve) -> AsyncIterator[World]:
    async with scripted() as found:
        served = await serve_hub(**oidc(found.issuer))
        async with a_browser(served) as browser:
            yield World(served, found, browser)


async def refused(world: World) -> str:
    """Why nobody is logged in."""
    answer = await world.log_in()
    assert answer.status in (403, 503), answer
    assert await world.browser.name() == ""
    assert "login" not in world.browser.cookies()
    return answer.text


# What is sent to the provider


async def test_an_honest_provider_is_believed(world: World) -> None:
    answer = await world.log_in()
    assert (answer.status, answer.location) == (303, "/")
    assert await world.browser.name() == "ann"


async def test_no_two_logins_look_alike_to_the_provider(world: World) -> None:
    asked = []
    for _ in range(2):
        query = parse_qs(urlsplit((await world.browser.begin()).location).query)
        asked.append(query)
        assert query["response_type"] == ["code"]
        assert query["code_challenge_method"] == ["S256"]
        assert query["scope"] == ["openid profile email"]
        assert query["redirect_uri"] == [f"{world.served.url}/login/oidc/callback"]
    values = [query[name][0] for query in asked for name in ("state", "nonce", "code_challenge")]
    assert len(set(values)) == 6
    assert all(len(value) == 43 for value in values)


async def test_a_client_secret_in_the_form_where_the_provider_wants_it_there(world: World) -> None:
    world.provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await world.log_in()).status == 303


async def test_a_stolen_code_is_worth_nothing(world: World) -> None:
    """PKCE: the code of one login is not redeemed in another, in whoever's browser."""
    begun = await world.browser.begin()
    code = world.provider.consent(begun.location)
    async with a_browser(world.served) as thief:
        own = await thief.begin()
        parameters = {"code": code, "state": own.parameter("state")}
        answer = await thief.go("/login/oidc/callback", params=parameters)
    assert answer.status == 403
    assert "Example refuses: invalid_grant" in answer.text


async def test_a_login_that_took_too_long_is_begun_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await world.browser.begin()
    monkeypatch.setattr("registry_server.hub.login.flows.LIFETIME", 0)
    answer = await world.come_back(begun)
    assert "took too long" in answer.text


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", f"{'a' * 43}.1.", f"{'a' * 43}.9999999999."])
async def test_a_made_up_cookie_begins_nothing(world: World, cookie: str) -> None:
    begun = await world.browser.begin()
    code = world.provider.consent(begun.location)
    async with a_browser(world.served) as other:
        answer = await other.go(
            "/login/oidc/callback",
            params={"code": code, "state": begun.parameter("state")},
            headers={"Cookie": f"login={cookie}"},
        )
    assert answer.status == 403
    assert "/token" not in world.provider.asked


# What comes back with the browser


@pytest.mark.parametrize("state", ["", "x", "x" * 43, "ä" * 43])
async def test_another_state_ends_it(world: World, state: str) -> None:
    begun = await world.browser.begin()
    answer = await world.come_back(begun, state=state)
    assert answer.status == 403
    assert "/token" not in world.provider.asked


async def test_an_answer_of_another_provider_ends_it(world: World) -> None:
    """RFC 9207: else its code would be taken to the honest one, or the other way round."""
    begun = await world.browser.begin()
    answer = await world.come_back(begun, iss="https://evil.example")
    assert "another provider" in answer.text
    assert "/token" not in world.provider.asked


async def test_who_says_that_it_names_itself_has_to(world: World) -> None:
    world.provider.metadata = {"authorization_response_iss_parameter_supported": True}
    begun = await world.browser.begin()
    assert "another provider" in (await world.come_back(begun)).text
    begun = await world.browser.begin()
    assert (await world.come_back(begun, iss=world.provider.issuer)).status == 303


async def test_a_parameter_that_is_there_twice_ends_it(world: World) -> None:
    begun = await world.browser.begin()
    code, state = world.provider.consent(begun.location), begun.parameter("state")
    answer = await world.browser.go(f"/login/oidc/callback?code=x&code={code}&state={state}")
    assert answer.status == 403


async def test_what_others_write_into_an_answer_is_not_shown(world: World) -> None:
    begun = await world.browser.begin()
    answer = await world.browser.go(
        "/login/oidc/callback",
        params={
            "state": begun.parameter("state"),
            "error": "<script>alert(1)</script>",
            "error_description": "call +1 555 0100 to unlock",
        },
    )
    assert "script" not in answer.text
    assert "555" not in answer.text


async def test_failed_logins_have_a_rate(serve_hub: Serve) -> None:
    async with scripted() as found:
        settings = oidc(found.issuer)
        settings["auth"]["hub"]["rates"] = {"logins": 3}
        served = await serve_hub(**settings)
        async with a_browser(served) as browser:
            statuses = []
            for _ in range(4):
                begun = await browser.begin()
                parameters = {"code": "made up", "state": begun.parameter("state")}
                answer = await browser.go("/login/oidc/callback", params=parameters)
                statuses.append(answer.status)
    assert statuses == [403, 403, 403, 429]
    assert int(answer.headers["Retry-After"]) > 0


# The ID token

NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another login"},
        {"nonce": None},
        {"nonce": ["x"]},
        {"aud": "another-client"},
        {"aud": ["registry-hub", "another-client"]},
        {"aud": ["registry-hub", "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"aud": "registry-hub-2"},
        {"aud": None},
        {"aud": []},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"sub": ""},
        {"sub": None},
        {"sub": 1},
        {"exp": NOW - 60},
        {"exp": str(NOW + 300)},
        {"exp": None},
        {"iat": NOW + 3600},
        {"iat": NOW - 3600},
        {"iat": None},
        {"nbf": NOW + 3600},
    ],
)
async def test_an_id_token_of_another_making_is_refused(
    world: World, claims: dict[str, Any]
) -> None:
    world.provider.claims = claims
    assert "ID token that is not valid" in await refused(world)


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../dev/null"},
        {"kid": "x" * 10_000},
        {"crit": ["b64"], "b64": False},
        {"typ": "at+jwt"},
    ],
    ids=str,
)
async def test_a_header_of_another_making_is_refused(world: World, header: dict[str, Any]) -> None:
    world.provider.header = header
    assert "ID token that is not valid" in await refused(world)


async def test_a_key_that_the_token_brings_along_is_not_looked_at(world: World) -> None:
    honest, own = world.provider.key, ec.generate_private_key(ec.SECP256R1())
    world.provider.published = [honest]
    world.provider.key = own
    await refused(world)
    world.provider.header = {
        "kid": thumbprint(honest.public_key()),
        "jwk": as_jwk(own.public_key(), "ES256"),
        "jku": f"{world.provider.issuer}/evil",
    }
    await refused(world)
    assert "/evil" not in world.provider.asked


async def test_an_unsigned_token_is_none(world: World) -> None:
    world.provider.id_token = unsigned
    await refused(world)


async def test_a_public_key_is_no_shared_secret(world: World) -> None:
    world.provider.id_token = signed_by_public_key(world.provider)
    await refused(world)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "." * 70_000])
async def test_junk_is_no_token(world: World, text: str) -> None:
    world.provider.id_token = lambda _: text
    await refused(world)


async def test_new_keys_are_found_and_no_key_need_have_a_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_server.auth.key_sources.PAUSE_SECONDS", 0)
    assert (await world.log_in()).status == 303
    world.provider.key = rsa.generate_private_key(65537, 2048)
    assert (await world.log_in()).status == 303
    world.provider.key = rsa.generate_private_key(65537, 2048)
    world.provider.header = {"kid": None}
    assert (await world.log_in()).status == 303
    world.provider.published = [world.provider.key, ec.generate_private_key(ec.SECP256R1())]
    world.provider.key = world.provider.published[1]
    assert (await world.log_in()).status == 403


# What else the provider tells


async def test_what_the_id_token_lacks_is_asked_for(world: World) -> None:
    world.provider.claims = {"preferred_username": None, "groups": None}
    world.provider.userinfo = {"sub": "1", "preferred_username": "bob", "name": "Bob"}
    assert (await world.log_in()).status == 303
    assert await world.browser.name() == "bob"


async def test_userinfo_of_somebody_else_is_refused(world: World) -> None:
    world.provider.claims = {"preferred_username": None}
    world.provider.userinfo = {"sub": "2", "preferred_username": "bob"}
    assert "tells of somebody else" in await refused(world)


async def test_userinfo_changes_nothing_that_was_signed(world: World) -> None:
    world.provider.claims = {"groups": None}
    world.provider.userinfo = {"sub": "1", "preferred_username": "root", "groups": 7}
    assert (await world.log_in()).status == 303
    assert await world.browser.name() == "ann"


@pytest.mark.parametrize("name", [None, "", 7, "---", "x"])
async def test_who_cannot_be_named_has_no_account(world: World, name: Any) -> None:
    world.provider.claims = {"preferred_username": name}
    answer = await world.log_in()
    assert answer.status in (403, 422, 400)
    assert await world.browser.name() == ""


async def test_no_secret_of_a_login_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        begun = await world.browser.begin()
        secret = world.browser.cookies()["login"].partition(".")[0]
        code = world.provider.consent(begun.location)
        parameters = {"code": code, "state": begun.parameter("state")}
        assert (await world.browser.go("/login/oidc/callback", params=parameters)).status == 303
        world.provider.claims = {"nonce": "another"}
        await world.log_in()
    assert "an ID token of" in caplog.text
    for hidden in (SECRET, code, secret, "the access token", begun.parameter("state"), "eyJ"):
        assert hidden not in caplog.text


# Where the hub is sent


async def test_a_provider_that_calls_itself_otherwise_is_none(world: World) -> None:
    world.provider.metadata = {"issuer": "https://evil.example"}
    assert "calls itself" in await refused(world)


@pytest.mark.parametrize(
    "metadata",
    [
        {"token_endpoint": None},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": "ftp://127.0.0.1/jwks"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": "http://user:password@127.0.0.1/"},
        {"token_endpoint": ["http://127.0.0.1/token"]},
    ],
    ids=str,
)
async def test_endpoints_that_are_none_are_refused(world: World, metadata: dict[str, Any]) -> None:
    world.provider.metadata = metadata
    await refused(world)


def test_a_provider_with_tls_sends_nobody_where_there_is_none() -> None:
    secure = "https://login.example.org"
    described = {
        "issuer": secure,
        "authorization_endpoint": f"{secure}/authorize",
        "token_endpoint": "http://login.example.org/token",
        "jwks_uri": f"{secure}/jwks",
    }
    with pytest.raises(provider.Unavailable, match="its token_endpoint is"):
        provider._check_addresses(provider.Metadata.model_validate(described))


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
async def test_no_redirect_is_followed(world: World, path: str) -> None:
    """… with the client's secret, or into the network that the hub stands in."""

    async def redirect() -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{world.provider.issuer}/inner")

    world.provider.answers[path] = redirect
    await refused(world)
    assert "/inner" not in world.provider.asked


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token"])
async def test_an_endless_answer_is_cut_off(world: World, path: str) -> None:
    async def flood() -> web.Response:
        return web.Response(body=b"[" * (2 * outgoing.MAX_ANSWER), content_type="application/json")

    world.provider.answers[path] = flood
    assert "sends more than 1048576 bytes" in await refused(world)


async def test_a_silent_provider_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "TOTAL_SECONDS", 0.2)

    async def wait() -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError

    world.provider.answers["/.well-known/openid-configuration"] = wait
    assert "Example does not answer" in await refused(world)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"[" * 100_000, b"\xff"])
async def test_what_is_no_object_is_no_answer(world: World, body: bytes) -> None:
    async def answer() -> web.Response:
        return web.Response(body=body, content_type="application/json")

    world.provider.answers["/token"] = answer
    assert "sends no JSON object" in await refused(world)


async def test_a_provider_that_is_away_is_not_asked_for_each_who_comes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else logins would queue up, each waiting as long as one waits for an answer."""

    async def fail() -> web.Response:
        raise web.HTTPBadGateway

    described = "/.well-known/openid-configuration"
    world.provider.answers[described] = fail
    for _ in range(3):
        assert (await world.browser.begin()).status == 503
    assert world.provider.asked.count(described) == 1
    del world.provider.answers[described]
    later = time.monotonic() + provider.PAUSE_SECONDS
    monkeypatch.setattr("registry_server.hub.login.provider.monotonic", lambda: later)
    assert (await world.log_in()).status == 303


async def test_what_it_said_before_holds_while_it_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> web.Response:
        raise web.HTTPBadGateway

    assert (await world.log_in()).status == 303
    world.provider.answers["/.well-known/openid-configuration"] = fail
    later = time.monotonic() + provider.REMEMBERED_SECONDS
    monkeypatch.setattr("registry_server.hub.login.provider.monotonic", lambda: later)
    assert (await world.log_in()).status == 303
    assert world.provider.asked.count("/.well-known/openid-configuration") == 2


async def test_what_the_provider_says_of_itself_is_remembered(world: World) -> None:
    for _ in range(3):
        assert (await world.log_in()).status == 303
    assert world.provider.asked.count("/.well-known/openid-configuration") == 1
    assert world.provider.asked.count("/jwks") == 1
