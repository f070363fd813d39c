"""A client of the token service, and of the registry half with the tokens that it got."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = b"{}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The first of the error's codes."""
        return str(self.json()["errors"][0]["code"])

    @property
    def challenge(self) -> str:
        return self.headers["www-authenticate"]


@dataclass(frozen=True, slots=True)
class Client:
    """One that knows a name and a secret, or neither."""

    session: aiohttp.ClientSession
    url: str
    """Of the registry."""
    name: str = ""
    secret: str = ""
    hub_url: str = ""
    """Of the hub, where that is another."""

    async def send(
        self, method: str, target: str, *, data: bytes | None = None, **headers: str
    ) -> Answer:
        """Any request; `content_type="…"` is the header `Content-Type`."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        base = self.url if target.startswith("/v2/") else self.hub_url or self.url
        async with self.session.request(
            method, f"{base}{target}", data=data, headers=fields, allow_redirects=False
        ) as answer:
            body = await answer.read()
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, found, body)

    # The token service

    async def get(self, *scopes: str, **parameters: str) -> Answer:
        """Ask for a token by GET, each scope in a parameter of its own."""
        query = urlencode([("service", "registry"), *parameters.items()])
        query += "".join("&" + urlencode({"scope": scope}) for scope in scopes)
        headers = {"Authorization": self.basic} if self.name or self.secret else {}
        return await self.send("GET", f"/token?{query}", **headers)

    async def post(self, **fields: str) -> Answer:
        """Ask for a token by POST."""
        form = urlencode({"service": "registry", "client_id": "tests", **fields}).encode()
        kind = "application/x-www-form-urlencoded"
        return await self.send("POST", "/token", data=form, Content_Type=kind)

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.name}:{self.secret}".encode()).decode()

    async def bearer(self, *scopes: str) -> str:
        """The value of `Authorization` with a token for these scopes."""
        answer = await self.get(*scopes)
        assert answer.status == 200, answer
        return f"Bearer {answer.json()['token']}"

    # The registry half

    async def push(self, repository: str, tag: str = "latest") -> Answer:
        """Push the smallest image; the first answer that is not 201."""
        bearer = await self.bearer(f"repository:{repository}:pull,push")
        digest = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
        target = f"/v2/{repository}/blobs/uploads/?digest={digest}"
        answer = await self.send("POST", target, data=CONFIG, Authorization=bearer)
        if answer.status != 201:
            return answer
        descriptor = {"mediaType": MANIFEST, "digest": digest, "size": len(CONFIG)}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor | {"mediaType": "application/vnd.oci.empty.v1+json"},
            "layers": [],
        }
        return await self.send(
            "PUT",
            f"/v2/{repository}/manifests/{tag}",
            data=json.dumps(manifest).encode(),
            Authorization=bearer,
            Content_Type=MANIFEST,
        )

    async def pull(self, repository: str, tag: str = "latest") -> Answer:
        bearer = await self.bearer(f"repository:{repository}:pull")
        target = f"/v2/{repository}/manifests/{tag}"
        return await self.send("GET", target, Authorization=bearer, Accept=MANIFEST)

    async def catalog(self) -> list[str]:
        bearer = await self.bearer("registry:catalog:*")
        answer = await self.send("GET", "/v2/_catalog", Authorization=bearer)
        assert answer.status == 200, answer
        found: list[str] = answer.json()["repositories"]
        return found


def access(answer: Answer) -> dict[str, list[str]]:
    """What the token of an answer grants, by repository."""
    assert answer.status == 200, answer
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    return {entry["name"]: entry["actions"] for entry in claims["access"]}


def subject(answer: Answer) -> str:
    """Whom the token of an answer names."""
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    return str(claims["sub"])
