"""An OpenID provider (OpenID Connect Core 1.0): the authorization code flow, with PKCE.

What the provider says of itself is remembered for an hour, and read from nowhere but below its
issuer.  An ID token counts if a key of the provider has signed it, for this hub, for this login,
just now.  Who somebody is are the issuer and the subject together, and never an address of mail,
which anybody may claim somewhere.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from hmac import compare_digest
from time import monotonic
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from registry_server.auth.access import CredentialsRefused
from registry_server.auth.key_sources import RemoteKeys
from registry_server.auth.keys import ALGORITHMS
from registry_server.auth.signed import (
    LEEWAY,
    TokenRefused,
    audience_claim,
    text_claim,
    time_claim,
    verify_signed,
)
from registry_server.hub.accounts.identities import ExternalIdentity
from registry_server.hub.errors import Unavailable
from registry_server.hub.login.flows import Flow
from registry_server.hub.login.outgoing import Outgoing
from registry_server.settings.hub import OpenIDSettings

REMEMBERED_SECONDS: Final = 3600.0
PAUSE_SECONDS: Final = 5.0
MAX_ID_TOKEN: Final = 64 * 1024
MAX_AGE: Final = 600.0
"""Seconds since an ID token was made: it is asked for in the moment that it is used."""
MAX_GROUPS: Final = 1000
_SETTING: Final = "auth.hub.oidc"
_OAUTH_ERROR: Final = re.compile(r"[a-z_]{1,60}")

log = logging.getLogger(__name__)


class LoginFailed(CredentialsRefused):
    """A login at the provider has come to nothing; the message says why."""

    @property
    def told(self) -> str:
        return str(self)


class Metadata(BaseModel):
    """What a provider says of itself (OpenID Connect Discovery 1.0)."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Known:
    """A provider as it was found at one time."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.keys = RemoteKeys(metadata.jwks_uri, lambda: None, setting=_SETTING)


class Provider:
    """The provider of the settings."""

    def __init__(self, settings: OpenIDSettings, clock: Callable[[], float] = time.time) -> None:
        self.settings: Final = settings
        self.clock: Final = clock
        self._outgoing = Outgoing(settings.name)
        self._known: _Known | None = None
        self._complaint = ""
        self._look_at = 0.0
        self._looking = asyncio.Lock()

    async def close(self) -> None:
        """Free the connections."""
        await self._outgoing.close()

    async def authorization_url(self, flow: Flow, redirect_uri: str) -> str:
        """Where the browser is sent.  Raises `Unavailable`."""
        endpoint = (await self._provider()).metadata.authorization_endpoint
        parameters = {
            "response_type": "code",
            "client_id": self.settings.clientid,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self.settings.scopes))),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": flow.challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(parameters)}"

    async def identify(
        self, answer: Mapping[str, str], flow: Flow, redirect_uri: str
    ) -> ExternalIdentity:
        """Who has come back with that answer to the login `flow`.

        Raises `LoginFailed`, `Unavailable`.
        """
        if not compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise LoginFailed("this answer belongs to another login; log in again")
        provider = await self._provider()
        self._check_sender(answer, provider.metadata)
        tokens = await self._redeem(answer["code"], flow, redirect_uri, provider.metadata)
        try:
            claims = await self._verified(tokens, flow, provider)
        except TokenRefused as error:
            log.warning("an ID token of %s was refused: %s", self.settings.issuer, error)
            raise LoginFailed(f"{self.settings.name} sent an ID token that is not valid") from None
        return self._identity(await self._completed(claims, tokens, provider.metadata))

    # The provider

    async def _provider(self) -> _Known:
        """As it was found less than an hour ago, or as it was found last.  Raises `Unavailable`.

        While it is away, it is not asked again for each who comes, and nobody waits for it twice.
        """
        async with self._looking:
            if self._look_at <= monotonic():
                try:
                    self._known = await self._look()
                    self._look_at = monotonic() + REMEMBERED_SECONDS
                except Unavailable as error:
                    log.error("%s: %s", _SETTING, error)
                    self._complaint = str(error)
                    self._look_at = monotonic() + PAUSE_SECONDS
        if self._known is None:
            raise Unavailable(self._complaint)
        return self._known

    async def _look(self) -> _Known:
        issuer = self.settings.issuer
        document = await self._outgoing.get(
            f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        )
        try:
            metadata = Metadata.model_validate(document)
        except ValidationError as error:
            missing = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
            raise Unavailable(f"{issuer} describes itself wrongly: {missing}") from None
        if metadata.issuer != issuer:
            raise Unavailable(f"{_SETTING}.issuer: {issuer} calls itself {metadata.issuer!a:.200}")
        _check_addresses(metadata)
        return _Known(metadata)

    # What it answers

    def _check_sender(self, answer: Mapping[str, str], metadata: Metadata) -> None:
        """That the answer is this provider's (RFC 9207), and no refusal."""
        sender = answer.get("iss")
        is_told = metadata.authorization_response_iss_parameter_supported
        if sender != metadata.issuer and (sender is not None or is_told):
            raise LoginFailed("this answer comes from another provider")
        if "code" not in answer:
            raise LoginFailed(f"{self.settings.name} refuses: {_error_of(answer)}")

    async def _redeem(
        self, code: str, flow: Flow, redirect_uri: str, metadata: Metadata
    ) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": flow.verifier,
        }
        headers = {}
        secret = self.settings.clientsecret.get_secret_value()
        if "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            pair = f"{quote(self.settings.clientid, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self.settings.clientid, "client_secret": secret}
        status, tokens = await self._outgoing.post(metadata.token_endpoint, form, headers)
        if status != 200:
            log.warning("%s refuses a code: %s", self.settings.issuer, _error_of(tokens))
            raise LoginFailed(f"{self.settings.name} refuses: {_error_of(tokens)}")
        return tokens

    async def _verified(
        self, tokens: Mapping[str, Any], flow: Flow, provider: _Known
    ) -> Mapping[str, Any]:
        """The claims of the ID token.  Raises `TokenRefused`."""
        text = tokens.get("id_token")
        if not isinstance(text, str):
            raise TokenRefused("there is none")
        try:
            claims = self._signed(text, provider)
        except TokenRefused:  # a new key, whether or not it has a name
            if not await provider.keys.look_soon():
                raise
            claims = self._signed(text, provider)
        check_claims(claims, self.settings.issuer, self.settings.clientid, flow.nonce, self.clock())
        return claims

    def _signed(self, text: str, provider: _Known) -> Mapping[str, Any]:
        keys = provider.keys.value
        return verify_signed(
            text, keys, ALGORITHMS, self.clock(), max_length=MAX_ID_TOKEN, may_be_nameless=True
        )

    async def _completed(
        self, claims: Mapping[str, Any], tokens: Mapping[str, Any], metadata: Metadata
    ) -> Mapping[str, Any]:
        """The claims, with what the ID token lacks from where the provider tells it, too."""
        wanted = {self.settings.usernameclaim, self.settings.groupsclaim}
        access_token, endpoint = tokens.get("access_token"), metadata.userinfo_endpoint
        if wanted <= claims.keys() or endpoint is None or not isinstance(access_token, str):
            return claims
        more = await self._outgoing.get(endpoint, {"Authorization": f"Bearer {access_token}"})
        if more.get("sub") != claims["sub"]:
            raise LoginFailed(f"{self.settings.name} tells of somebody else")
        return {**more, **claims}

    def _identity(self, claims: Mapping[str, Any]) -> ExternalIdentity:
        name = claims.get(self.settings.usernameclaim)
        if not isinstance(name, str) or not name:
            raise LoginFailed(
                f"{self.settings.name} does not tell the claim {self.settings.usernameclaim}, "
                f"which names accounts here ({_SETTING}.usernameclaim)"
            )
        return ExternalIdentity(
            issuer=self.settings.issuer,
            subject=claims["sub"],
            name=name,
            full_name=_text(claims.get("name")),
            email=_text(claims.get("email")),
            groups=_groups(claims.get(self.settings.groupsclaim)),
        )


def check_claims(
    claims: Mapping[str, Any], issuer: str, client: str, nonce: str, now: float
) -> None:
    """Whether an ID token is of that issuer, for that client and login, and of this moment.

    OpenID Connect Core 1.0 section 3.1.3.7.  Raises `TokenRefused`.
    """
    text_claim(claims, "sub")
    if text_claim(claims, "iss") != issuer:
        raise TokenRefused(f"its issuer is {claims['iss']!a:.80}")
    audience = audience_claim(claims)
    if client not in audience:
        raise TokenRefused("it is for another client")
    if claims.get("azp", client) != client or (len(audience) > 1 and "azp" not in claims):
        raise TokenRefused("it was given to another client")
    if not compare_digest(text_claim(claims, "nonce").encode(), nonce.encode()):
        raise TokenRefused("it is for another login")
    if time_claim(claims, "exp") + LEEWAY <= now:
        raise TokenRefused("it has expired")
    issued = time_claim(claims, "iat")
    if not issued - LEEWAY <= now < issued + MAX_AGE + LEEWAY:
        raise TokenRefused("it was not made just now; compare the clocks")
    if "nbf" in claims and time_claim(claims, "nbf") - LEEWAY > now:
        raise TokenRefused("it is not valid yet; compare the clocks")


def _check_addresses(metadata: Metadata) -> None:
    """That nothing goes over the network in clear which did not before.  Raises `Unavailable`."""
    allowed = ("https",) if metadata.issuer.startswith("https:") else ("https", "http")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
        address = getattr(metadata, name)
        parts = urlsplit(address or metadata.issuer)
        if parts.scheme not in allowed or not parts.hostname or parts.username is not None:
            raise Unavailable(f"{metadata.issuer}: its {name} is {address!a:.200}")


def _error_of(answer: Mapping[str, Any]) -> str:
    """The word of OAuth2 for what is wrong; what else others write into an answer is not shown."""
    error = answer.get("error")
    return error if isinstance(error, str) and _OAUTH_ERROR.fullmatch(error) else "no reason given"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _groups(value: object) -> tuple[str, ...]:
    """The groups of a claim: a list of texts, or one text; anything else makes nobody a member."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        return ()
    return tuple(item for item in values if isinstance(item, str))[:MAX_GROUPS]
