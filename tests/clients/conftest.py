"""The registries, the images and the client programs, as fixtures.

Registries and images are made once for each pytest process that asks for them; every test has
repositories of its own (`repository`) and clients that have seen no registry before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.programs import Containers, Ctr, Docker
from tests.clients.registries import (
    Authority,
    Registry,
    is_ours,
    make_authority,
    running_registry,
)
from tests.services.clients import (
    DockerEngine,
    containerd,
    docker_engine,
    require,
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of this folder."""
    config.addinivalue_line("markers", "ours_only: needs more than distribution 2.8 can do")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what another registry cannot do."""
    if item.get_closest_marker("ours_only") and not is_ours():
        pytest.skip("the registry under test is another one, which does not do this")


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Every client program is here, or the tests end with the reason."""
    require("docker", "podman", "skopeo", "buildah", "ctr", "openssl", "node")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private certificate authority."""
    return make_authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that lets everyone do everything."""
    with running_registry(tmp_path_factory.mktemp("open") / "registry") as running:
        yield running


@pytest.fixture(scope="session")
def guarded_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that asks for a login."""
    folder = tmp_path_factory.mktemp("guarded") / "registry"
    with running_registry(folder, login=True) as running:
        yield running


@pytest.fixture(scope="session")
def tls_registry(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Registry]:
    """A registry with TLS and a login, at 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls") / "registry"
    with running_registry(folder, login=True, tls=authority) as running:
        yield running


@pytest.fixture(scope="session")
def busy_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An open registry with two worker processes (with one, where it is another program)."""
    folder = tmp_path_factory.mktemp("busy") / "registry"
    with running_registry(folder, workers=2) as running:
        yield running


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """The name of a repository that no other test uses."""
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Containers]:
    """podman, buildah and skopeo."""
    made = Containers.inside(tmp_path / "containers")
    yield made
    made.remove()


@pytest.fixture
def engine(programs: None) -> Iterator[DockerEngine]:
    """A Docker engine that has never seen a registry: it knows nothing that it could mount."""
    with docker_engine() as running:
        yield running


@pytest.fixture
def docker(engine: DockerEngine, tmp_path: Path) -> Docker:
    """The docker command."""
    return Docker(f"unix://{engine.socket}", tmp_path / "docker")


@pytest.fixture
def ctr(programs: None) -> Iterator[Ctr]:
    """The ctr command of an empty containerd."""
    with containerd() as socket:
        yield Ctr(socket)
