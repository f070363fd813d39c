"""A fake Keystone of our own, in front of a real Swift.

It is not OpenStack's identity service: it speaks just what a client needs to log in, v2.0 and v3,
with password, trust or application credential, and is strict about that.  The tokens that it gives
out are real, of Swift's own v1 authentication, so whether one is still good is Swift's to say.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.services.swift import SwiftServer

FAR = "2099-01-01T00:00:00.000000Z"
USER = {"name": "alice", "password": "wonderland"}
USER_DOMAIN = {"id": "domain-1", "name": "people"}
PROJECT = {"id": "project-1", "name": "images"}
PROJECT_DOMAIN = {"id": "domain-2", "name": "work"}
TRUST = "trust-1"
APPLICATION_CREDENTIAL = {"id": "credential-1", "secret": "s3cret"}
REGION, OTHER_REGION = "north", "south"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FakeKeystone:
    """A running one."""

    address: str
    swift: SwiftServer
    logins: list[str] = field(default_factory=list)
    """What each token that was given out is good for."""

    def endpoints(self, storage_url: str) -> dict[str, str]:
        """By interface; nobody listens at the one for administrators."""
        return {
            "public": storage_url.replace("127.0.0.1", "localhost"),
            "internal": storage_url,
            "admin": "http://127.0.0.1:1/",
        }


class Refused(Exception):
    """The credentials, or what they are to be good for, are wrong."""


def v2_token(keystone: FakeKeystone, request: Json) -> tuple[Mapping[str, str], Json]:
    """`POST /v2.0/tokens`."""
    auth = request["auth"]
    given = auth["passwordCredentials"]
    if given != {"username": USER["name"], "password": USER["password"]}:
        raise Refused
    scopes = {
        "tenant name": auth.get("tenantName") == PROJECT["name"],
        "tenant id": auth.get("tenantId") == PROJECT["id"],
        "trust": auth.get("trust_id") == TRUST,
    }
    login = _log_in(keystone, scopes)
    endpoints = [
        {"id": "1", "region": REGION}
        | {f"{kind}URL": url for kind, url in keystone.endpoints(login["X-Storage-Url"]).items()},
        {"id": "2", "region": OTHER_REGION}
        | {f"{kind}URL": "http://127.0.0.1:1" for kind in ("public", "internal", "admin")},
    ]
    access = {
        "token": {"id": login["X-Auth-Token"], "expires": FAR, "tenant": PROJECT},
        "serviceCatalog": [{"type": "object-store", "name": "swift", "endpoints": endpoints}],
        "user": {"id": "user-1", "name": USER["name"], "roles": []},
    }
    return {}, {"access": access}


def v3_token(keystone: FakeKeystone, request: Json) -> tuple[Mapping[str, str], Json]:
    """`POST /v3/auth/tokens`."""
    auth = request["auth"]
    method = _check_identity(auth["identity"])
    login = _log_in(keystone, _v3_scopes(auth.get("scope"), method))
    endpoints = [
        {"id": kind, "interface": kind, "region": REGION, "region_id": REGION, "url": url}
        for kind, url in keystone.endpoints(login["X-Storage-Url"]).items()
    ]
    other = {"region": OTHER_REGION, "region_id": OTHER_REGION, "url": "http://127.0.0.1:1"}
    endpoints.append({"id": "other", "interface": "public", **other})
    token = {
        "methods": [method],
        "issued_at": "2020-01-01T00:00:00.000000Z",
        "expires_at": FAR,
        "project": {**PROJECT, "domain": PROJECT_DOMAIN},
        "user": {"id": "user-1", "name": USER["name"], "domain": USER_DOMAIN},
        "catalog": [{"type": "object-store", "name": "swift", "id": "s", "endpoints": endpoints}],
    }
    return {"X-Subject-Token": login["X-Auth-Token"]}, {"token": token}


def _check_identity(identity: Json) -> str:
    """The method; one only."""
    [method] = identity["methods"]
    if method == "application_credential":
        good: bool = identity[method] == APPLICATION_CREDENTIAL
    else:
        user = dict(identity["password"]["user"])
        domain = user.pop("domain")
        good = user == USER and domain in _either(USER_DOMAIN)
    if not good:
        raise Refused
    return str(method)


def _v3_scopes(scope: Json | None, method: str) -> dict[str, bool]:
    """Exactly one may be asked for; an application credential brings its own."""
    project = dict((scope or {}).get("project", {}))
    domain = project.pop("domain", None)
    return {
        "project id": scope == {"project": {"id": PROJECT["id"]}},
        "project name": project == {"name": PROJECT["name"]} and domain in _either(PROJECT_DOMAIN),
        "trust": scope == {"OS-TRUST:trust": {"id": TRUST}},
        "application credential": scope is None and method == "application_credential",
    }


def _either(domain: Mapping[str, str]) -> list[dict[str, str]]:
    """How a request may name a domain."""
    return [{"id": domain["id"]}, {"name": domain["name"]}]


def _log_in(keystone: FakeKeystone, scopes: Mapping[str, bool]) -> Mapping[str, str]:
    """Swift's own answer, for the one scope that is right."""
    right = [scope for scope, is_right in scopes.items() if is_right]
    if len(right) != 1:
        raise Refused
    keystone.logins.append(right[0])
    return keystone.swift.log_in()


class _Handler(BaseHTTPRequestHandler):
    keystone: FakeKeystone

    def do_POST(self) -> None:
        calls = {"/v2.0/tokens": v2_token, "/v3/auth/tokens": v3_token}
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path not in calls:
            return self._answer(404, {}, _error(404, "Not Found"))
        try:
            headers, body = calls[self.path](self.keystone, request)
        except Refused:
            return self._answer(401, {}, _error(401, "Unauthorized"))
        return self._answer(201 if "token" in body else 200, headers, body)

    def _answer(self, status: int, headers: Mapping[str, str], body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: who wants to know looks at `logins`."""


def _error(code: int, title: str) -> Json:
    return {"error": {"code": code, "title": title, "message": "as asked"}}


@contextmanager
def fake_keystone(swift: SwiftServer) -> Iterator[FakeKeystone]:
    """One that lets users into that server's account."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.keystone = FakeKeystone(f"http://127.0.0.1:{server.server_port}", swift)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield handler.keystone
        server.shutdown()
        thread.join()
