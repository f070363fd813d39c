"""A provider that does as a test says: honest but for what is changed.

Unlike oidc-provider-mock it checks PKCE and how the client proves itself.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from registry_server.auth.keys import as_jwk, thumbprint
from tests.hub.login.conftest import CLIENT, SECRET

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass
class ScriptedProvider:
    """What it will do."""

    issuer: str = ""
    key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    published: list[PrivateKey] = field(default_factory=list)
    """Keys of the JWKS; empty: the one that signs."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Other than usual; None: left out."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Of the ID token, other than usual; None: left out."""
    header: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=lambda: {"sub": "1"})
    id_token: Callable[[str], str] = lambda text: text
    """What is done to it in the end."""
    answers: dict[str, Callable[[], Awaitable[web.StreamResponse]]] = field(default_factory=dict)
    """By path: instead of everything else."""
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def consent(self, authorization_url: str) -> str:
        """A code for what the hub asks; redeemed by whoever fulfils what it asked with."""
        query = parse_qs(urlsplit(authorization_url).query)
        code = secrets.token_urlsafe(16)
        self.codes[code] = {name: values[0] for name, values in query.items()}
        return code

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path in self.answers:
            return await self.answers[request.path]()
        match request.path:
            case "/.well-known/openid-configuration":
                return web.json_response(self._described())
            case "/jwks":
                keys = self.published or [self.key]
                listed = [as_jwk(key.public_key(), _algorithm(key)) for key in keys]
                return web.json_response({"keys": listed})
            case "/token":
                return self._redeem(request, await request.post())
            case "/userinfo":
                assert request.headers["Authorization"] == "Bearer the access token"
                return web.json_response(self.userinfo)
        raise web.HTTPNotFound

    def _described(self) -> dict[str, Any]:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            **self.metadata,
        }
        return {name: value for name, value in document.items() if value is not None}

    def _redeem(self, request: web.Request, form: Any) -> web.Response:
        asked = self.codes.pop(form["code"], None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert asked["code_challenge_method"] == "S256"
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if _credentials(request, form) != (CLIENT, SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        document = {"access_token": "the access token", "token_type": "Bearer"}
        return web.json_response({**document, "id_token": self._made(asked["nonce"])})

    def _made(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "1",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "preferred_username": "ann",
            "groups": [],
            **self.claims,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"kid": thumbprint(self.key.public_key()), **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        return self.id_token(jwt.encode(kept, self.key, _algorithm(self.key), header))


def signed_by_public_key(provider: ScriptedProvider) -> Callable[[str], str]:
    """The oldest trick: what everybody may know, taken for a shared secret."""
    key = provider.key.public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(text: str) -> str:
        payload = text.split(".")[1]
        header = encoded({"alg": "HS256", "kid": thumbprint(key), "typ": "JWT"})
        mac = hashlib.sha256(pem + f"{header}.{payload}".encode()).digest()
        return f"{header}.{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    return sign


def unsigned(text: str) -> str:
    """`alg: none`."""
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{text.split('.')[1]}."


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _algorithm(key: PrivateKey) -> str:
    return "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"


def _credentials(request: web.Request, form: Any) -> tuple[str, str]:
    header = request.headers.get("Authorization", "")
    if not header:
        return form.get("client_id", ""), form.get("client_secret", "")
    name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return unquote_plus(name), unquote_plus(secret)


@asynccontextmanager
async def scripted() -> AsyncIterator[ScriptedProvider]:
    """One that listens."""
    provider = ScriptedProvider()
    runner = web.ServerRunner(web.Server(provider.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1)
    await site.start()
    port = runner.addresses[0][1]
    provider.issuer = f"http://127.0.0.1:{port}"
    try:
        yield provider
    finally:
        await asyncio.shield(runner.cleanup())
