"""The API's document is true: a hub that is served does what it says, and nothing else.

schemathesis makes requests of the document, those that it allows and those that it does not, sends
them as several callers, and compares the answers with it: status, headers, type and schema.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, assume, settings
from pydantic import TypeAdapter, ValidationError
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from registry_server.hub.accounts.sessions import csrf_of
from registry_server.hub.api.routes import ROUTES
from registry_server.hub.web.document import describe
from registry_server.hub.web.policies import Concern, Policy
from registry_server.hub.web.routes import Call, Input, Route
from tests.hub.tokens.clients import Client
from tests.services.registry import RegistryServer, run

pytestmark = pytest.mark.slow

FEW, SHORT, LONG = 3, 6, 100
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
LIMITS = {"limits": [{"repositories": "acme/**", "role": "read"}]}
WHOLE: list[tuple[str, str, Any]] = [
    ("PUT", "namespaces/acme/quota", {}),
    ("PUT", "users/reader/admin", {"is_admin": False}),
    ("PUT", "users/reader/disabled", {"is_disabled": False}),
    ("PUT", "organisations/acme/members/reader", {"role": "read"}),
    ("PUT", "organisations/acme/teams/core", {}),
    ("PUT", "organisations/acme/teams/core/members/reader", None),
    ("PUT", "repositories/acme%2Fapp", {}),
    ("PUT", "repositories/acme%2Fapp/grants/users/reader", {"role": "read"}),
    ("PUT", "repositories/acme%2Fapp/grants/teams/core", {"role": "read"}),
    ("POST", "namespaces/acme/robots", {"name": "ci", **LIMITS}),
]
"""What makes all that is `KNOWN`, where it is not there (any more)."""
NEVER_DONE = {
    "change_password": "it takes the password",
    "begin_second_factor": "it takes the password",
    "confirm_second_factor": "it takes a code of the seed",
    "renew_recovery_codes": "there is no second factor",
    "remove_second_factor": "it takes the password",
    "log_in": "it takes the password",
    "end_session": "its id is random",
    "revoke_access_token": "its id is random",
    "end_client_login": "its id is random",
    "revoke_invitation": "its id is random",
    "show_link": "it takes a secret",
    "accept_invitation": "it takes a secret",
    "set_password_by_link": "it takes a secret",
    "register": "nobody may register here",
    "delete_organisation": "there is a repository in it",
    "leave_organisation": "nobody else administers it",
}
"""What requests that are made up do not achieve, by the names of the routes; why."""
AS_JSON = re.compile(r"null|None|true|false|-?[\d.]+(e-?\d+)?", re.IGNORECASE)
BY_CALL = {(route.method, route.path): route for route in ROUTES}
READING = {route.name for route in ROUTES if route.method == "GET"}
SECURITY = {
    operation["operationId"]: operation["security"] or [{}]
    for path in describe(ROUTES, "registry-server", "test", "The hub.")["paths"].values()
    for operation in path.values()
}
"""The ways to show who one is, by the names of the routes; `{}` is to show nothing."""
ACCEPTANCE = {"expected-statuses": ["2xx", 401, 403, 404, 409, 422, 429]}
"""Of what the schemas allow: 422 is for what makes no sense although it is well formed."""


def described(known: Mapping[str, str]) -> dict[str, Any]:
    """The document; `known` are the only values of the parameters of paths that are called so.

    Credentials are ours to send, and ours to leave out.
    """
    document = describe(ROUTES, "registry-server", "test", "The hub.")
    limit = document["components"]["schemas"]["LimitModel"]
    limit["examples"] = LIMITS["limits"]
    for operation in chain.from_iterable(path.values() for path in document["paths"].values()):
        del operation["security"]
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in known:
                parameter["schema"] = {"type": "string", "enum": [known[parameter["name"]]]}
    return document


config = SchemathesisConfig.from_dict({"checks": {"positive_data_acceptance": ACCEPTANCE}})
of_any_names = schemathesis.openapi.from_dict(described({}), config=config)
of_known_names = schemathesis.openapi.from_dict(described(KNOWN), config=config)
without_coverage = SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": False}}})
few_of_known_names = schemathesis.openapi.from_dict(described(KNOWN), config=without_coverage)


class Hub:
    """It is served, with an organisation in it."""

    def __init__(self, directory: Path) -> None:
        self.server = RegistryServer(directory, config=CONFIG).start()
        self._settings = {"REGISTRY_AUTH": "hub", "REGISTRY_DATA_DIRECTORY": str(directory)}
        self._do("user", "create", "root", "--password-stdin", "--admin", told=PASSWORD)
        for name in ("leaver", "reader"):
            self._do("user", "create", name, "--password-stdin", told=PASSWORD)
        self._do("org", "create", "acme", "--admin", "root")
        self._secret = self._do("token", "create", "root", "test")
        self.root = {"Authorization": f"Bearer {self._secret}"}
        self.reader = {"Authorization": f"Bearer {self._do('token', 'create', 'reader', 'test')}"}
        self.session_of_root = self.begin_session("root")
        self.make_whole()

    def _do(self, *command: str, told: str = "") -> str:
        done = run(*command, told=told, **self._settings)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def make_whole(self) -> None:
        """Make all that is `KNOWN`, as far as it is not there."""
        for method, path, body in WHOLE:
            url = f"{self.server.url}/api/v1/{path}"
            answer = requests.request(method, url, json=body, headers=self.root, timeout=10)
            assert answer.ok or answer.status_code == 409, answer.text
        asyncio.run(self._push())

    async def _push(self) -> None:
        async with aiohttp.ClientSession() as session:
            pushed = await Client(session, self.server.url, "root", self._secret).push("acme/app")
        assert pushed.status == 201, pushed

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
    yield from serve(tmp_path_factory)


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One for the long forms: after a while good names are taken, and lists are full."""
    yield from serve(tmp_path_factory)


def serve(directories: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(directories.mktemp("hub"))
    yield hub
    hub.server.stop()


def route_of(case: Case) -> Route:
    """The one that it is about, even where its method is none of the path's."""
    return BY_CALL[case.operation.method.upper(), case.operation.path]


def caller_of(case: Case, hub: Hub) -> dict[str, str]:
    """What somebody sends who may do it, as far as anybody may."""
    route = route_of(case)
    if route.policy.concern is not Concern.SESSION:
        return hub.root
    return hub.begin_session("leaver") if route.method == "DELETE" else hub.session_of_root


def is_ambiguous(case: Case) -> bool:
    """Whether a name is one that JSON would take for something else: 0.5, or null.

    It may be there as a value of the wrong type, but in a URL it is as good a text as any other.
    """
    names = [*case.path_parameters.values(), case.query.get("namespace", "")]
    return any(AS_JSON.fullmatch(str(name)) for name in names)


def is_of_others(case: Case) -> bool:
    """Whether a name is a good one, but none that is `KNOWN`: something may be called so, too."""
    adapters = route_of(case).parameters
    return any(
        name in KNOWN and value != KNOWN[name] and _is_valid(adapters[name], value)
        for name, value in case.path_parameters.items()
    )


def _is_valid(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


quick = settings(
    max_examples=SHORT,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
few = settings(quick, max_examples=FEW)
thorough = settings(quick, max_examples=LONG, derandomize=False)


@pytest.mark.long
@of_any_names.parametrize()
@thorough
def test_requests_of_any_names(case: Case, worn: Hub) -> None:
    assume(not is_ambiguous(case))
    case.call_and_validate(base_url=worn.server.url, headers=caller_of(case, worn))


@pytest.fixture
def answered(hub: Hub) -> Iterator[dict[str, set[int]]]:
    """What each route answers to one test: among other things that it was done.

    Afterwards all is there again that was.
    """
    answered: dict[str, set[int]] = defaultdict(set)
    yield answered
    done = {name for name, statuses in answered.items() if any(status < 300 for status in statuses)}
    if done - READING:
        hub.make_whole()
    assert answered.keys() - done <= NEVER_DONE.keys()


@of_known_names.parametrize()
@quick
def test_requests_of_what_there_is(case: Case, hub: Hub, answered: dict[str, set[int]]) -> None:
    assume(not is_ambiguous(case) and not is_of_others(case))
    answer = case.call_and_validate(base_url=hub.server.url, headers=caller_of(case, hub))
    answered[route_of(case).name].add(answer.status_code)


@pytest.fixture
def put_back(worn: Hub) -> None:
    """All is there again that was."""
    worn.make_whole()


@few_of_known_names.parametrize()
@few
def test_requests_of_who_may_less(case: Case, hub: Hub) -> None:
    """Of a member, and of nobody: what the document asks credentials for, it refuses to them."""
    assume(not is_ambiguous(case) and not is_of_others(case))
    case.call_and_validate(base_url=hub.server.url, headers=hub.reader)
    answer = case.call_and_validate(base_url=hub.server.url)
    if {} not in SECURITY[route_of(case).name]:
        assert answer.status_code in (401, 404)


@pytest.mark.long
@of_known_names.parametrize()
@thorough
def test_many_requests_of_what_there_is(case: Case, worn: Hub, put_back: None) -> None:
    assume(not is_ambiguous(case) and not is_of_others(case))
    case.call_and_validate(base_url=worn.server.url, headers=caller_of(case, worn))


def test_the_document_is_one_of_openapi() -> None:
    of_any_names.validate()


class Kind(StrEnum):
    ROUND = "round"


class OfAKind(Input):
    kind: Kind | None = None


async def list_by_kind(call: Call, query: OfAKind) -> None:
    """List what is of a kind."""


def test_what_a_query_refers_to_is_in_the_document() -> None:
    route = Route("GET", "/things", Policy.ANYONE, list_by_kind)
    document = describe([route], "test", "test", "Things.")
    [parameter] = document["paths"]["/things"]["get"]["parameters"]
    assert parameter["schema"]["$ref"] == "#/components/schemas/Kind"
    assert document["components"]["schemas"]["Kind"]["enum"] == ["round"]
