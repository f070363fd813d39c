"""The API's document is true: a hub that is served does what it says, and nothing else.

schemathesis makes requests of the document, those that it allows and those that it does not, sends
them as several callers, and compares the answers with it: status, headers, type and schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, settings
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from registry_server.hub.accounts.sessions import csrf_of
from registry_server.hub.api.routes import ROUTES
from registry_server.hub.web.document import describe
from registry_server.hub.web.policies import Concern
from tests.services.registry import RegistryServer, run

pytestmark = pytest.mark.slow

SHORT, LONG = 6, 100
PASSWORD = "correct horse battery"
CONFIG = """
auth:
  hub:
    rates: {logins: 100000, tokens: 100000}
"""
KNOWN = {
    "namespace": "acme",
    "repository": "acme/app",
    "user": "reader",
    "team": "core",
    "robot": "ci",
    "tag": "latest",
}
"""What there is, in the place of names that there hardly are."""
AS_JSON = re.compile(r"null|None|true|false|-?[\d.]+(e-?\d+)?", re.IGNORECASE)
POLICIES = {(route.method, route.path): route.policy for route in ROUTES}
ACCEPTANCE = {"expected-statuses": ["2xx", 401, 403, 404, 409, 422, 429]}
"""Of what the schemas allow: 422 is for what makes no sense although it is well formed."""


def described(known: Mapping[str, str]) -> dict[str, Any]:
    """The document; `known` are the only values of the parameters of paths that are called so.

    Credentials are ours to send: that a route refuses who sends none is for the matrix to show.
    """
    document = describe(ROUTES, "registry-server", "test", "The hub.")
    for operation in chain.from_iterable(path.values() for path in document["paths"].values()):
        del operation["security"]
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in known:
                parameter["schema"] = {"type": "string", "enum": [known[parameter["name"]]]}
    return document


config = SchemathesisConfig.from_dict({"checks": {"positive_data_acceptance": ACCEPTANCE}})
of_any_names = schemathesis.openapi.from_dict(described({}), config=config)
of_known_names = schemathesis.openapi.from_dict(described(KNOWN), config=config)


class Hub:
    """It is served, with an organisation in it."""

    def __init__(self, directory: Path) -> None:
        self.server = RegistryServer(directory, config=CONFIG).start()
        self._settings = {"REGISTRY_AUTH": "hub", "REGISTRY_DATA_DIRECTORY": str(directory)}
        self._do("user", "create", "root", "--password-stdin", "--admin", told=PASSWORD)
        for name in ("leaver", "reader"):
            self._do("user", "create", name, "--password-stdin", told=PASSWORD)
        self._do("org", "create", "acme", "--admin", "root")
        self._do("org", "member", "set", "acme", "reader", "--role", "read")
        self._do("repo", "create", "acme/app")
        self._do("robot", "create", "acme+ci")
        self.root = {"Authorization": f"Bearer {self._do('token', 'create', 'root', 'test')}"}
        self.session_of_root = self.begin_session("root")

    def _do(self, *command: str, told: str = "") -> str:
        done = run(*command, told=told, **self._settings)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def begin_session(self, name: str) -> dict[str, str]:
        """What the browser sends of somebody who has just logged in."""
        login = json.dumps({"name": name, "password": PASSWORD}).encode()
        headers = {"Content-Type": "application/json", "Origin": self.server.url}
        url = f"{self.server.url}/api/v1/session"
        with urlopen(Request(url, login, headers, method="POST")) as answer:
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
        secret = cookie.partition("=")[2]
        return {"Cookie": cookie, "X-CSRF-Token": csrf_of(secret), "Origin": self.server.url}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    yield hub
    hub.server.stop()


def caller_of(case: Case, hub: Hub) -> dict[str, str]:
    """What somebody sends who may do it, as far as anybody may."""
    method, path = case.operation.method.upper(), case.operation.path
    if POLICIES[method, path].concern is not Concern.SESSION:
        return hub.root
    return hub.begin_session("leaver") if method == "DELETE" else hub.session_of_root


def is_ambiguous(case: Case) -> bool:
    """Whether a name is one that JSON would take for something else: 0.5, or null.

    It may be there as a value of the wrong type, but in a URL it is as good a text as any other.
    """
    names = [*case.path_parameters.values(), case.query.get("namespace", "")]
    return any(AS_JSON.fullmatch(str(name)) for name in names)


quick = settings(
    max_examples=SHORT,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
thorough = settings(quick, max_examples=LONG, derandomize=False)


@pytest.mark.long
@of_any_names.parametrize()
@thorough
def test_requests_of_any_names(case: Case, hub: Hub) -> None:
    assume(not is_ambiguous(case))
    case.call_and_validate(base_url=hub.server.url, headers=caller_of(case, hub))


@of_known_names.parametrize()
@quick
def test_requests_of_what_there_is(case: Case, hub: Hub) -> None:
    assume(not is_ambiguous(case))
    case.call_and_validate(base_url=hub.server.url, headers=caller_of(case, hub))


@pytest.mark.long
@of_known_names.parametrize()
@thorough
def test_many_requests_of_what_there_is(case: Case, hub: Hub) -> None:
    assume(not is_ambiguous(case))
    case.call_and_validate(base_url=hub.server.url, headers=caller_of(case, hub))


def test_the_document_is_one_of_openapi() -> None:
    of_any_names.validate()
