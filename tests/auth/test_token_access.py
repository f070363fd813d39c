"""What is remembered of tokens, and how keys come and go: from a file, and from a token server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler

from registry_server.auth import ANONYMOUS, Action, TokenAccess
from registry_server.auth import key_sources as key_sources_module
from registry_server.auth import token_access as token_access_module
from registry_server.auth.key_sources import RemoteKeys
from registry_server.auth.signed import KeyUnknown, TokenRefused
from registry_server.auth.tokens import Verifier
from registry_server.settings.model import TokenSettings
from registry_storage.errors import ConfigurationInvalid
from tests.services.tokens import Signer, TokenServer, access, encode, jwks, token_server

from .conftest import Clock, rewrite

PULL = access("team/app", "pull")


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with token_server({"ann": "secret"}) as running:
        yield running


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "jwks.json"


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were looked at."""
    seen: list[str] = []
    original = Verifier.verify

    def verify(verifier: Verifier, text: str, keys: object) -> object:
        seen.append(text)
        return original(verifier, text, keys)  # type: ignore[arg-type]

    monkeypatch.setattr(Verifier, "verify", verify)
    return seen


def bearer(token: str) -> str:
    return f"Bearer {token}"


async def test_a_token_is_verified_once(
    tokens: TokenServer, keys: Path, verifications: list[str]
) -> None:
    clock = Clock()
    clock.now = time.time()
    control = TokenAccess.of_server(TokenSettings.model_validate(tokens.settings(keys)), clock)
    header = bearer(tokens.signer.token(PULL))
    assert control.identify_cached(header) is None
    subject = await control.identify(header)
    assert subject.name == "ann"
    assert control.identify_cached(header) is subject
    assert control.decide(subject, "team/app", Action.PULL).allowed
    assert not control.decide(subject, "team/app", Action.PUSH).allowed
    assert len(verifications) == 1
    clock.now += 340  # past its end, and the leeway
    assert control.identify_cached(header) is None
    assert (await control.identify(header)).is_late
    assert control.identify_cached(header) is None


async def test_nobody_is_let_in_for_nothing(tokens: TokenServer, keys: Path) -> None:
    control = TokenAccess.of_server(TokenSettings.model_validate(tokens.settings(keys)))
    assert control.identify_cached(None) is ANONYMOUS
    assert await control.identify(None) is ANONYMOUS
    assert not control.admits(ANONYMOUS)
    assert not control.may_list(ANONYMOUS)
    assert not control.decide(ANONYMOUS, "team/app", Action.PULL).allowed
    nameless = await control.identify(f"bearer  {tokens.signer.token(PULL, sub='')} ")
    assert control.admits(nameless)


async def test_what_is_remembered_is_bounded(
    tokens: TokenServer, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_access_module, "MAX_REMEMBERED", 2)
    control = TokenAccess.of_server(TokenSettings.model_validate(tokens.settings(keys)))
    headers = [bearer(tokens.signer.token(PULL)) for _ in range(3)]
    for header in headers:
        await control.identify(header)
    assert [control.identify_cached(header) is None for header in headers] == [True, False, False]


async def test_refused_tokens_are_not_remembered(tokens: TokenServer, keys: Path) -> None:
    control = TokenAccess.of_server(TokenSettings.model_validate(tokens.settings(keys)))
    header = bearer(Signer.new().token(PULL))
    with pytest.raises(KeyUnknown):
        await control.identify(header)
    assert control.identify_cached(header) is None


async def test_a_key_that_leaves_the_file_is_no_longer_believed(
    tokens: TokenServer, keys: Path
) -> None:
    control = TokenAccess.of_server(TokenSettings.model_validate(tokens.settings(keys)))
    old, new = bearer(tokens.signer.token(PULL)), Signer.new()
    await control.identify(old)
    rewrite(keys, jwks(new))
    await control.reload()
    assert control.identify_cached(old) is None
    with pytest.raises(KeyUnknown):
        await control.identify(old)
    assert (await control.identify(bearer(new.token(PULL)))).name == "ann"
    rewrite(keys, "broken")
    await control.reload()
    assert (await control.identify(bearer(new.token(PULL)))).name == "ann"


def test_broken_keys_at_the_start_are_refused(tokens: TokenServer, keys: Path) -> None:
    settings = TokenSettings.model_validate(tokens.settings(keys))
    rewrite(keys, "{}")
    with pytest.raises(ConfigurationInvalid, match=r"auth\.token\.jwks: .*not a JWKS"):
        TokenAccess.of_server(settings)


# From the token server


async def test_a_new_key_is_fetched_when_a_token_names_it(
    tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_sources_module, "PAUSE_SECONDS", 0.0)
    control = TokenAccess.of_server(TokenSettings.model_validate(tokens.settings()))
    await control.start()
    try:
        await control.identify(bearer(tokens.signer.token(PULL)))
        assert tokens.key_requests == 1
        old, tokens.signer = tokens.signer, Signer.new()
        at_once = [control.identify(bearer(tokens.signer.token(PULL))) for _ in range(20)]
        assert {subject.name for subject in await asyncio.gather(*at_once)} == {"ann"}
        assert tokens.key_requests == 2
        with pytest.raises(KeyUnknown):
            await control.identify(bearer(old.token(PULL)))
    finally:
        await control.close()


async def test_ten_thousand_unknown_keys_are_no_request_more(tokens: TokenServer) -> None:
    control = TokenAccess.of_server(TokenSettings.model_validate(tokens.settings()))
    await control.start()
    try:
        token, header = tokens.signer.token(PULL), {"alg": "ES256"}
        for number in range(10_000):
            with pytest.raises(KeyUnknown):
                await control.identify(bearer(f"{encode(header | {'kid': str(number)})}.e30.AA"))
        assert tokens.key_requests == 1
        assert (await control.identify(bearer(token))).name == "ann"
    finally:
        await control.close()


async def test_the_url_is_asked_at_most_once_in_a_pause(tokens: TokenServer) -> None:
    clock = Clock()
    remote = RemoteKeys(f"{tokens.url}/jwks.json", lambda: None, clock)
    assert await remote.look_soon()
    assert not await remote.look_soon()
    clock.now += key_sources_module.PAUSE_SECONDS
    assert await asyncio.gather(remote.look_soon(), remote.look_soon()) == [True, True]
    assert tokens.key_requests == 2
    await remote.close()


async def test_without_a_token_server_no_token_is_valid_until_it_comes(
    tokens: TokenServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(key_sources_module, "PAUSE_SECONDS", 0.0)
    tokens.keys = "not ready"
    control = TokenAccess.of_server(TokenSettings.model_validate(tokens.settings()))
    await control.start()
    header = bearer(tokens.signer.token(PULL))
    try:
        with pytest.raises(TokenRefused, match="known: none"):
            await control.identify(header)
        assert "no token is valid" in caplog.text
        tokens.keys = ""
        assert (await control.identify(header)).name == "ann"
        for broken in ("not ready", "x" * (key_sources_module.MAX_SIZE + 1)):
            tokens.keys = broken
            with pytest.raises(KeyUnknown):
                await control.identify(bearer(Signer.new().token(PULL)))
            assert (await control.identify(bearer(tokens.signer.token(PULL)))).name == "ann"
    finally:
        await control.close()


async def test_a_url_of_keys_leads_nowhere_else(tokens: TokenServer) -> None:
    """Whoever can make it redirect must not choose whom this server asks."""

    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPFound(f"{tokens.url}/jwks.json")

    async with TestServer(redirecting(redirect)) as server:
        remote = RemoteKeys(str(server.make_url("/jwks.json")), lambda: None)
        assert await remote.look_soon()
        assert remote.value.by_id == {}
        await remote.close()
    assert tokens.key_requests == 0


def redirecting(handler: Handler) -> web.Application:
    application = web.Application()
    application.router.add_get("/jwks.json", handler)
    return application
