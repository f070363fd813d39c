"""The commands for organisations, repositories and namespaces, beside a hub that is served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.api.access import eventually
from tests.hub.accounts.test_commands import rows
from tests.services.registry import RegistryServer, run

pytestmark = pytest.mark.slow


ON_EACH_DATABASE = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    chosen = {"REGISTRY_AUTH": "hub", "REGISTRY_DATA_DIRECTORY": str(tmp_path)}
    if getattr(request, "param", "sqlite") == "postgresql":
        chosen["REGISTRY_CATALOG_URL"] = request.getfixturevalue("postgres_url")
    return chosen


@pytest.fixture
def server(settings: dict[str, str], tmp_path: Path) -> Iterator[RegistryServer]:
    server = RegistryServer(tmp_path, settings).start()
    yield server
    server.stop()


class Operator:
    """Runs commands, and asks the hub that is served what it says to them."""

    def __init__(self, server: RegistryServer, settings: dict[str, str]) -> None:
        self._server = server
        self._settings = settings
        self.do("user", "create", "ann", "--admin")
        self._token = self.do("token", "create", "ann", "laptop").strip()

    def do(self, *command: str) -> str:
        """What it prints; it must do what it is told."""
        done = run(*command, **self._settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, *command: str) -> list[list[str]]:
        """The table that it prints."""
        return rows(self.do(*command))

    def ask(self, path: str, *, anonymously: bool = False) -> Any:
        """What the API answers."""
        headers = {} if anonymously else {"Authorization": f"Bearer {self._token}"}
        with urlopen(Request(f"{self._server.url}/api/v1/{path}", headers=headers)) as answer:
            return json.load(answer)

    def seen_by_all(self) -> list[str]:
        """The repositories that a stranger sees."""
        return [item["name"] for item in self.ask("repositories", anonymously=True)["items"]]


@pytest.fixture
def operator(server: RegistryServer, settings: dict[str, str]) -> Operator:
    return Operator(server, settings)


def test_organisations_and_their_members(operator: Operator) -> None:
    operator.do("user", "create", "bob")
    operator.do("org", "create", "team", "--admin", "ann", "--full-name", "The [b]team[/b]")
    assert operator.rows("org", "list")[0][:2] == ["team", "The [b]team[/b]"]
    operator.do("org", "member", "set", "team", "bob", "--role", "write")
    assert [row[:3] for row in operator.rows("org", "member", "list", "team")] == [
        ["ann", "", "admin"],
        ["bob", "", "write"],
    ]
    operator.do("org", "member", "set", "team", "bob")
    members = operator.ask("organisations/team/members")["items"]
    assert [(member["user"], member["role"]) for member in members] == [
        ("ann", "admin"),
        ("bob", None),
    ]
    operator.do("org", "member", "remove", "team", "bob")
    operator.do("org", "delete", "team")
    assert operator.rows("org", "list") == []
    told = [
        (entry["actor"], entry["action"])
        for entry in operator.ask("audit?actor=(operator)&limit=5")["items"]
    ]
    assert told == [
        ("(operator)", "organisation.deleted"),
        ("(operator)", "member.removed"),
        ("(operator)", "member.set"),
        ("(operator)", "member.set"),
        ("(operator)", "organisation.created"),
    ]


@ON_EACH_DATABASE
def test_repositories(operator: Operator) -> None:
    operator.do("org", "create", "team")
    operator.do("repo", "create", "team/app")
    operator.do("repo", "create", "team/site", "--public")
    operator.do("repo", "create", "team/site", "--private")  # there is one: nothing happens
    operator.do("repo", "create", "ann/own")
    assert [row[:2] for row in operator.rows("repo", "list", "--namespace", "team")] == [
        ["team/app", "private"],
        ["team/site", "public"],
    ]
    assert len(operator.rows("repo", "list")) == 3
    assert operator.seen_by_all() == ["team/site"]
    operator.do("repo", "set", "team/app", "--public")
    operator.do("repo", "set", "team/site", "--private")
    assert operator.seen_by_all() == ["team/app"]
    operator.do("repo", "rename", "team/app", "ann/app")
    assert operator.seen_by_all() == ["ann/app"]
    operator.do("repo", "delete", "ann/app", "--yes")
    assert operator.seen_by_all() == []


def test_namespaces(operator: Operator) -> None:
    operator.do("namespace", "set", "ann", "--public")
    operator.do("namespace", "quota", "ann", "--bytes", "1000000")
    operator.do("repo", "create", "ann/app")
    assert operator.seen_by_all() == ["ann/app"]
    assert operator.rows("namespace", "show", "ann") == [
        ["new repositories", "public", ""],
        ["bytes", "0 bytes", "1.0 MB"],
        ["repositories", "1", "no limit"],
    ]
    operator.do("namespace", "quota", "ann", "--repositories", "3")
    found = operator.ask("namespaces/ann")
    assert (found["max_bytes"], found["max_repositories"]) == (None, 3)


def test_what_is_done_in_the_catalog_is_the_operators_in_the_audit_log(operator: Operator) -> None:
    operator.do("namespace", "set", "ann", "--public")
    operator.do("namespace", "quota", "ann", "--repositories", "3")
    operator.do("repo", "create", "ann/app")
    operator.do("repo", "set", "ann/app", "--private")
    operator.do("repo", "rename", "ann/app", "ann/new")
    operator.do("repo", "delete", "ann/new", "--yes")
    done = [
        "namespace.changed",
        "namespace.changed",
        "repository.created",
        "repository.visibility",
        "repository.renamed",
        "repository.deleted",
    ]

    def is_told() -> bool:
        entries = operator.ask("audit?actor=(operator)&limit=6")["items"]
        return [entry["action"] for entry in reversed(entries)] == done

    eventually(is_told)  # the hub copies what the catalog tells within seconds


def test_the_store_stays_that_of_the_server(operator: Operator, tmp_path: Path) -> None:
    claims = _claims(tmp_path)
    operator.do("repo", "create", "ann/app", "--public")
    operator.do("repo", "delete", "ann/app", "--yes")
    assert claims
    assert _claims(tmp_path) == claims
    operator.do("repo", "create", "ann/app", "--public")
    assert operator.seen_by_all() == ["ann/app"]


def _claims(directory: Path) -> dict[Path, tuple[int, int]]:
    """What says whose the store is, and when that was written."""
    files = (path for path in directory.glob("**/markers/**/*") if path.is_file())
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_a_repository_is_deleted_only_for_whoever_means_it(
    operator: Operator, settings: dict[str, str]
) -> None:
    operator.do("repo", "create", "ann/app", "--public")
    for answer in ("", "\n", "n\n"):
        done = run("repo", "delete", "ann/app", told=answer, **settings)
        assert done.returncode == 1
        assert "Aborted" in done.stderr
    assert operator.seen_by_all() == ["ann/app"]
    assert run("repo", "delete", "ann/app", told="y\n", **settings).returncode == 0
    assert operator.seen_by_all() == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("org create Team", "'Team' cannot be the name of an account"),
        ("org create ann", "the name ann is taken"),
        ("org create new --admin nobody", "there is no user nobody"),
        ("org delete nothing", "there is no organisation nothing"),
        ("org delete team", "there are repositories in team: delete or transfer them first"),
        ("org member set team nobody", "there is no user nobody"),
        ("org member set nothing ann", "there is no organisation nothing"),
        ("org member set team ann --role boss", "--role boss: use read, write, maintain, admin"),
        ("org member remove team ann", "nobody else administers the organisation"),
        ("org member list nothing", "there is no organisation nothing"),
        ("repo create ghost/app", "there is no user or organisation ghost"),
        ("repo set team/app", "repo set: say --public or --private"),
        ("repo set team/none --public", "there is no repository team/none"),
        ("repo rename team/none team/new", "there is no repository team/none"),
        ("repo rename team/app team/Other", "'team/Other' is not a repository name"),
        ("repo rename team/app ghost/app", "there is no user or organisation ghost"),
        ("repo delete team/none --yes", "there is no repository team/none"),
        ("namespace show ghost", "there is no user or organisation ghost"),
        ("namespace set ann", "namespace set: say --public or --private"),
        ("namespace quota ghost --bytes 1", "there is no user or organisation ghost"),
    ],
)
def test_what_cannot_be_done_is_a_line(
    hub_with_a_team: dict[str, str], command: str, told: str
) -> None:
    done = run(*command.split(), **hub_with_a_team)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"registry-server: {told}")


@pytest.fixture(scope="module")
def hub_with_a_team(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of a hub that is not served, with the repository `team/app`."""
    directory = tmp_path_factory.mktemp("team")
    settings = {"REGISTRY_AUTH": "hub", "REGISTRY_DATA_DIRECTORY": str(directory)}
    for command in ("user create ann", "org create team --admin ann", "repo create team/app"):
        assert run(*command.split(), **settings).returncode == 0
    return settings
