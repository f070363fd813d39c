"""Each half in a process of its own: nothing is shared but the public keys and the store."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
import yaml

from registry_server.hub.tables import metadata
from tests.hub.tokens.clients import Client
from tests.services.hub_accounts import PASSWORD, create_user
from tests.services.postgres import PostgresServer
from tests.services.registry import RegistryServer, run

SCOPE = "repository:ann/app:pull,push"


@dataclass(frozen=True, slots=True)
class Halves:
    """Both processes, under way."""

    hub: RegistryServer
    registry: RegistryServer

    def client(self, session: aiohttp.ClientSession, name: str = "") -> Client:
        return Client(session, self.registry.url, name, PASSWORD if name else "", self.hub.url)


Sections = dict[str, Any]


def make_halves(tmp_path: Path) -> list[RegistryServer]:
    """The hub and the registry, not started, each with a folder of its own."""
    folders = [tmp_path / role for role in ("hub", "registry")]
    for folder in folders:
        folder.mkdir()
    return [RegistryServer(folder, arguments=["--role", folder.name]) for folder in folders]


@contextmanager
def running(
    tmp_path: Path,
    of_hub: Sections,
    of_registry: Sections,
    in_between: Callable[[], None] = lambda: None,
) -> Iterator[Halves]:
    """The hub first, which makes the tables, then the registry, each by sections of its own."""
    hub, registry = make_halves(tmp_path)
    with ExitStack() as stack:
        hub.config = configuration(hub, hub, of_hub)
        stack.callback(hub.start().stop)
        for name in ("ann", "bob"):
            create_user(hub.directory / "config.yml", name)
        in_between()
        registry.config = configuration(registry, hub, of_registry)
        stack.callback(registry.start().stop)
        yield Halves(hub, registry)


def configuration(server: RegistryServer, hub: RegistryServer, sections: Sections) -> str:
    store = {"filesystem": {"rootdirectory": str(server.directory.parent / "store")}}
    document = {
        "storage": store,
        "data": {"directory": str(server.directory)},
        "auth": {"hub": {"url": hub.url, **sections.get("hub", {})}},
    }
    others = {name: section for name, section in sections.items() if name != "hub"}
    return yaml.safe_dump(document | others)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def assert_they_work_together(halves: Halves, session: aiohttp.ClientSession) -> None:
    ann = halves.client(session, "ann")
    challenged = await ann.send("GET", "/v2/")
    asks = f'Bearer realm="{halves.hub.url}/token",service="registry"'
    assert challenged.challenge == asks
    assert (await ann.push("ann/app")).status == 201
    assert (await ann.pull("ann/app")).status == 200
    assert await ann.catalog() == ["ann/app"]
    for other in (halves.client(session), halves.client(session, "bob")):
        assert (await other.pull("ann/app")).status == 401
        assert await other.catalog() == []
    token = await halves.client(session, "ann").bearer(SCOPE)
    for target in ("/token", "/api/v1/repositories", "/.well-known/jwks.json"):
        async with session.get(f"{halves.registry.url}{target}") as answer:
            assert answer.status == 404, target
    async with session.get(f"{halves.hub.url}/v2/") as answer:
        assert answer.status == 404
    halves.hub.stop()
    target = "/v2/ann/app/tags/list"
    answer = await ann.send("GET", target, Authorization=token)
    assert answer.status == 200, "the hub need not be asked"


# With a database


@dataclass(frozen=True, slots=True)
class Roles:
    """The URL of a database for its owner, and for a role that nobody has granted anything."""

    owner: str
    other: str
    name: str
    """Of the role."""

    def connect(self, *, as_owner: bool) -> psycopg.Connection[Any]:
        url = self.owner if as_owner else self.other
        return psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)

    def let_in(self) -> None:
        """Grant the other role what the registry half needs, and nothing of the hub's."""
        with self.connect(as_owner=True) as connection:
            for kind, names in (
                ("SELECT, INSERT, UPDATE, DELETE ON TABLE", "tablename FROM pg_tables"),
                ("USAGE ON SEQUENCE", "sequencename FROM pg_sequences"),
            ):
                found = connection.execute(f"SELECT {names} WHERE schemaname = 'public'").fetchall()
                for (name,) in found:
                    if not name.startswith("hub_"):
                        connection.execute(f'GRANT {kind} "{name}" TO {self.name}')


@pytest.fixture
def roles(postgres_server: PostgresServer) -> Iterator[Roles]:
    database, role = postgres_server.create_database(), f"half_{secrets.token_hex(4)}"
    owner = postgres_server.url(database)
    other = f"postgresql+psycopg://{role}:secret@{owner.rpartition('@')[2]}"
    found = Roles(owner, other, role)
    with found.connect(as_owner=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    yield found
    postgres_server.drop_database(database)


async def test_on_postgresql_with_a_role_that_cannot_read_accounts(
    tmp_path: Path, roles: Roles, session: aiohttp.ClientSession
) -> None:
    of_hub, of_registry = [{"catalog": {"url": url}} for url in (roles.owner, roles.other)]
    with running(tmp_path, of_hub, of_registry, roles.let_in) as halves:
        for table in metadata.tables:
            with (
                roles.connect(as_owner=False) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(f"SELECT * FROM {table}")
        await assert_they_work_together(halves, session)


async def test_on_sqlite_without_the_file_of_accounts(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    nowhere = tmp_path / "nowhere" / "hub.sqlite"
    with running(tmp_path, {}, {"hub": {"database": f"sqlite:///{nowhere}"}}) as halves:
        await assert_they_work_together(halves, session)
        opened = [path.resolve() for path in open_files(halves.registry.process.pid)]
        assert tmp_path / "store" / "catalog.sqlite" in opened
        assert not [path for path in opened if path.name.startswith("hub.sqlite")]
        assert not list((tmp_path / "registry").glob("hub.*"))
    assert not nowhere.parent.exists()


def open_files(pid: int) -> list[Path]:
    folder = Path(f"/proc/{pid}/fd")
    return [Path(os.readlink(entry)) for entry in folder.iterdir() if entry.is_symlink()]


# Starting


@pytest.mark.slow
async def test_the_registry_may_start_before_the_hub(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Tokens are refused until the keys can be fetched, which is tried again and again."""
    hub, registry = make_halves(tmp_path)
    with ExitStack() as stack:
        registry.config = configuration(registry, hub, {})
        stack.callback(registry.start().stop)
        registry.wait_for_log("no token is valid")
        hub.config = configuration(hub, hub, {})
        stack.callback(hub.start().stop)
        create_user(hub.directory / "config.yml", "ann")
        registry.wait_for_log("auth.hub.url: 2 ids of keys")
        assert (await Halves(hub, registry).client(session, "ann").push("ann/app")).status == 201


def test_halves_that_lack_a_setting_are_told_so(tmp_path: Path) -> None:
    directory = {"REGISTRY_DATA_DIRECTORY": str(tmp_path)}
    done = run("serve", "--role", "hub", **directory)
    assert done.returncode == 1
    assert "role: there is no hub to serve; set auth.hub" in done.stderr
    done = run("serve", "--role", "registry", REGISTRY_AUTH="hub", **directory)
    assert done.returncode == 1
    assert "auth.hub.url: required for role registry" in done.stderr
    done = run("config", "check", REGISTRY_ROLE="registry", REGISTRY_AUTH="hub", **directory)
    assert "auth.hub.url: required for role registry" in done.stderr
    done = run("serve", "--role", "both", **directory)
    assert done.returncode == 2
