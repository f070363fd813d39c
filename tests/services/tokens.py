"""A token server for tests: it signs what a test wants, or, over HTTP, what its few rules allow.

It is no part of the product: it has just what docker, podman, skopeo and ctr ask of a token server.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from registry_server.auth.keys import thumbprint

ISSUER = "the tests' token server"
SERVICE = "registry.example.org"
LIFETIME = 300


def encode(value: object) -> str:
    """A part of a token: JSON of a value, or text and bytes as they are, in base64url."""
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def access(repository: str, *actions: str, kind: str = "repository") -> dict[str, Any]:
    """An entry of the claim `access`."""
    return {"type": kind, "name": repository, "actions": list(actions)}


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key, and the tokens that it signs."""

    key: Any
    algorithm: str
    kid: str

    @classmethod
    def new(cls, algorithm: str = "ES256", kid: str | None = None) -> Signer:
        """With a fresh key; its thumbprint is its id unless another is given."""
        key = _NEW_KEY[algorithm]()
        return cls(key, algorithm, kid or thumbprint(key.public_key()))

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key, as a JWKS has it."""
        members = get_default_algorithms()[self.algorithm].to_jwk(self.key.public_key(), True)
        return {**dict(members), "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def claims(self, *entries: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
        """All that a token must claim; a change of None leaves a claim out."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "ann",
            "aud": SERVICE,
            "exp": now + LIFETIME,
            "nbf": now - 10,
            "iat": now,
            "jti": uuid.uuid4().hex,
            "access": list(entries),
        }
        return {name: value for name, value in (claims | changed).items() if value is not None}

    def token(self, *entries: Mapping[str, Any], **changed: Any) -> str:
        """A token that grants `entries`."""
        return self.sign(self.claims(*entries, **changed))

    def sign(self, payload: object, **header: Any) -> str:
        """Sign anything; a header of None is left out."""
        fields = {"typ": "JWT", "alg": self.algorithm, "kid": self.kid} | header
        return self.sign_parts({k: v for k, v in fields.items() if v is not None}, payload)

    def sign_parts(self, header: object, payload: object) -> str:
        """Sign anything under any header."""
        signed = f"{encode(header)}.{encode(payload)}"
        signature = get_default_algorithms()[self.algorithm].sign(signed.encode(), self.key)
        return f"{signed}.{encode(signature)}"


_NEW_KEY = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}


def jwks(*signers: Signer) -> str:
    """The public keys of signers."""
    return json.dumps({"keys": [signer.jwk for signer in signers]})


@dataclass(slots=True)
class TokenServer:
    """A running token server; `users` may do everything, and everybody may pull `public/…`."""

    url: str
    users: Mapping[str, str]
    signer: Signer = field(default_factory=Signer.new)
    asked: list[str] = field(default_factory=list)
    """The scopes of every request for a token."""
    key_requests: int = 0
    keys: str = ""
    """What its JWKS says; empty: the key of its signer."""

    def settings(self, keys: Path | None = None) -> dict[str, str]:
        """The section `auth.token` of a registry; the keys from its URL, or written to a file."""
        if keys is not None:
            keys.write_text(jwks(self.signer))
        return {
            "realm": f"{self.url}/token",
            "service": SERVICE,
            "issuer": ISSUER,
            "jwks": str(keys or f"{self.url}/jwks.json"),
        }

    def grant(self, user: str, scopes: Sequence[str]) -> str:
        """A token for what `user` may do of what was asked for."""
        entries = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = [action for action in actions.split(",") if self._may(user, name, action)]
            entries.append(access(name, *allowed, kind=kind))
        return self.signer.token(*entries, sub=user)

    def _may(self, user: str, name: str, action: str) -> bool:
        return user in self.users or (name.startswith("public/") and action == "pull")


class _Handler(BaseHTTPRequestHandler):
    tokens: TokenServer

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        if target.path == "/jwks.json":
            self.tokens.key_requests += 1
            self._answer(200, self.tokens.keys or jwks(self.tokens.signer))
            return
        name, password = self._basic()
        self._give(name, password, parse_qs(target.query).get("scope", []))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._give(form.get("username", ""), form.get("password", ""), [form.get("scope", "")])

    def _basic(self) -> tuple[str, str]:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return "", ""
        name, _, password = b64decode(value).decode().partition(":")
        return name, password

    def _give(self, name: str, password: str, scopes: list[str]) -> None:
        wanted = [scope for text in scopes for scope in text.split()]
        self.tokens.asked += wanted
        if name and self.tokens.users.get(name) != password:
            self._answer(401, json.dumps({"details": "incorrect username or password"}))
            return
        token = self.tokens.grant(name, wanted)
        given = {"token": token, "access_token": token, "expires_in": LIFETIME}
        self._answer(200, json.dumps(given))

    def _answer(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests ask what was asked."""


@contextmanager
def token_server(users: Mapping[str, str]) -> Iterator[TokenServer]:
    """A token server on a free port."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.tokens = tokens = TokenServer(f"http://127.0.0.1:{server.server_port}", users)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield tokens
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
