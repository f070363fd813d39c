"""Servers to test, one process for each way of configuring them, kept for the whole session."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.services.postgres import PostgresServer
from tests.services.registry import RegistryServer

from . import promises
from .client import Answer, Client
from .inventory import inventory

UNDER_TEST = os.environ.get("REGISTRY_UNDER_TEST")
HASH_FALLBACK = {"REGISTRY_STORAGE_PLAIN_HASHLIB": "1"}

PATIENT = {"REGISTRY_UPLOADS_MAXOPEN": "1000000"}
"""Many tests leave their uploads open, and all of them are one subject: nobody."""

Serve = Callable[..., RegistryServer]
Together = Callable[..., list[Answer]]
"""Makes several requests at once; the answers in order."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ours: asks for more than the spec makes every registry do")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if UNDER_TEST and not os.environ.get("REGISTRY_STRICTLY"):
        for item in items:
            if item.get_closest_marker("ours"):
                item.add_marker(pytest.mark.skip(reason="asks for more than the spec"))


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start servers by their environment; all end, and are judged by their logs, at the end."""
    if UNDER_TEST:
        pytest.skip("needs a server that the test configures itself")
    started: list[RegistryServer] = []

    def start(
        environment: dict[str, str] | None = None,
        *,
        directory: Path | None = None,
        config: str | None = None,
        workers: int = 1,
    ) -> RegistryServer:
        place = directory or tmp_path_factory.mktemp("registry")
        settings = PATIENT | (environment or {})
        server = RegistryServer(place, settings, config, workers=workers).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.tell(signal.SIGTERM)
    failures = [failure for server in started if (failure := _failure_at_stop(server))]
    assert not failures, "\n".join(failures)


def _failure_at_stop(server: RegistryServer) -> str | None:
    try:
        server.stop()
    except AssertionError as error:
        return str(error)
    return None


@pytest.fixture(scope="session")
def server(serve: Serve) -> RegistryServer:
    """The server as it is without any configuration but an address and a directory."""
    return serve()


@pytest.fixture(scope="session")
def server_that_rereads(serve: Serve) -> RegistryServer:
    """A server that cannot carry a hash from one request to the next: it reads the bytes again."""
    return serve(HASH_FALLBACK)


@pytest.fixture(scope="session")
def server_of_workers(serve: Serve) -> RegistryServer:
    """A server of two processes, so that requests of one upload meet different ones."""
    return serve(workers=2)


@pytest.fixture(scope="session")
def server_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[RegistryServer]:
    """A server whose catalog is in PostgreSQL."""
    database = postgres_server.create_database()
    environment = PATIENT | {"REGISTRY_CATALOG_URL": postgres_server.url(database)}
    server = RegistryServer(tmp_path_factory.mktemp("registry"), environment).start()
    yield server
    server.stop()
    postgres_server.drop_database(database)


@pytest.fixture(scope="session")
def which(request: pytest.FixtureRequest) -> str:
    """The fixture that the module's tests talk to, where they do not ask for another."""
    name: str = getattr(request, "param", "server")
    if UNDER_TEST and name != "server":
        pytest.skip("needs a server that the test configures itself")
    return name


@pytest.fixture(scope="session")
def url(request: pytest.FixtureRequest, which: str) -> str:
    return UNDER_TEST or request.getfixturevalue(which).url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A client without a login."""
    yield from _client(url)


def _client(url: str) -> Iterator[Client]:
    client = Client(url, promises=promises.ANY_REGISTRY if UNDER_TEST else promises.OURS)
    yield client
    client.close()


@pytest.fixture
def together(client: Client) -> Iterator[Together]:
    """Each request goes over a connection of its own."""
    with ThreadPoolExecutor(8) as pool:

        def run(*requests: Callable[[Client], Answer]) -> list[Answer]:
            barrier = threading.Barrier(len(requests))

            def one(request: Callable[[Client], Answer]) -> Answer:
                with closing(client.another()) as own:
                    own.get("/v2/")
                    barrier.wait()
                    return request(own)

            return list(pool.map(one, requests))

        yield run


@pytest.fixture
def repo() -> str:
    """The name of a repository that no other test uses."""
    return f"conformance/{uuid.uuid4().hex}"


@pytest.fixture
def other_repo() -> str:
    return f"conformance/{uuid.uuid4().hex}"


# For attacks: a server whose log has nothing but complaints, and a check that it came to no harm.


@pytest.fixture(scope="session")
def fortress(serve: Serve) -> RegistryServer:
    """A server without an access log, so that every line of its log is a complaint."""
    return serve({"REGISTRY_LOG_ACCESSLOG_DISABLED": "true"})


@pytest.fixture
def attacker(fortress: RegistryServer) -> Iterator[Client]:
    yield from _client(fortress.url)


@pytest.fixture
def unharmed(fortress: RegistryServer) -> Callable[..., AbstractContextManager[None]]:
    """A context for one attack: afterwards the server answers as before and has kept nothing."""

    @contextmanager
    def check(*, log_lines: int = 1, memory: int = 50_000_000) -> Iterator[None]:
        before, lines = inventory(fortress.storage), fortress.log_lines()
        resident = fortress.resident_bytes()
        yield
        assert Client(fortress.url).get("/v2/").status == 200
        deadline = time.monotonic() + 5
        while inventory(fortress.storage) != before and time.monotonic() < deadline:
            time.sleep(0.02)  # what was given up is being cleared away behind the answer
        assert inventory(fortress.storage) == before
        assert fortress.log_lines() - lines <= log_lines, fortress.log.read_text()[-5000:]
        assert fortress.resident_bytes() - resident < memory

    return check
