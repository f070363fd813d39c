"""A registry behind a token server (one of the tests' own): every client fetches what it needs.

What is in `public/` everybody may pull, with and without a login; the rest is for users.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.content import config_digest
from tests.clients.images import Images
from tests.clients.programs import Containers, Ctr, Docker, Result
from tests.clients.registries import PASSWORD, USER, Registry, running_registry
from tests.clients.test_login import LOGIN
from tests.clients.test_login import refused as refused_login
from tests.services.tokens import TokenServer, token_server

pytestmark = pytest.mark.ours_only


def refused(result: Result) -> bool:
    """Whether the client says, in its own words, that it may not."""
    words = ("requested access to the resource is denied", "authorization failed")
    return refused_login(result) or any(word in result.text for word in words)


@pytest.fixture(scope="module")
def tokens() -> Iterator[TokenServer]:
    """The token server."""
    with token_server({USER: PASSWORD}) as running:
        yield running


@pytest.fixture(scope="module")
def registry(tokens: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that believes the token server's tokens."""
    folder = tmp_path_factory.mktemp("tokens") / "registry"
    with running_registry(folder, auth={"token": tokens.settings()}) as running:
        yield running


@pytest.fixture
def public(images: Images, registry: Registry, containers: Containers, repository: str) -> str:
    """The sample, as everybody may pull it."""
    return put(images, registry, containers, f"public/{repository}")


@pytest.fixture
def private(images: Images, registry: Registry, containers: Containers, repository: str) -> str:
    """The sample, as only users may pull it."""
    return put(images, registry, containers, f"team/{repository}")


def put(images: Images, registry: Registry, containers: Containers, repository: str) -> str:
    name = registry.name(repository)
    push = ("copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", LOGIN)
    containers.skopeo(*push, images.sample.source, f"docker://{name}")
    return name


def test_docker(
    images: Images, registry: Registry, public: str, private: str, docker: Docker
) -> None:
    expected = config_digest(images.sample.documents, images.sample.root)
    docker("pull", public)
    assert docker.image_id(public) == expected
    assert refused(docker("pull", private, fails=True))
    docker("tag", public, private)
    assert refused(docker("push", private, fails=True))
    login = ("login", "--username", USER, "--password")
    assert refused(docker(*login, "wrong", registry.host, fails=True))
    assert "Login Succeeded" in docker(*login, PASSWORD, registry.host).out
    docker("pull", private)
    docker("tag", private, f"{private}-2")
    docker("push", f"{private}-2")
    docker("logout", registry.host)
    assert refused(docker("pull", f"{private}-2", fails=True))


def test_docker_mounts_between_repositories(
    registry: Registry, tokens: TokenServer, private: str, docker: Docker, repository: str
) -> None:
    docker("login", "--username", USER, "--password", PASSWORD, registry.host)
    docker("pull", private)
    copy = registry.name(f"team/{repository}-copy")
    docker("tag", private, copy)
    tokens.asked.clear()
    assert "Mounted from" in docker("push", copy).out
    assert f"repository:team/{repository}:pull" in tokens.asked


def test_podman(registry: Registry, public: str, private: str, containers: Containers) -> None:
    pull = ("pull", "--tls-verify=false")
    containers.podman(*pull, public)
    assert refused(containers.podman(*pull, private, fails=True))
    login = ("login", "--tls-verify=false", "--username", USER, "--password")
    assert refused(containers.podman(*login, "wrong", registry.host, fails=True))
    containers.podman(*login, PASSWORD, registry.host)
    containers.podman(*pull, private)
    containers.podman("push", "--tls-verify=false", private, f"{private}-2")
    containers.podman("logout", registry.host)
    assert refused(containers.podman(*pull, f"{private}-2", fails=True))


def test_skopeo(images: Images, public: str, private: str, containers: Containers) -> None:
    inspect = ("inspect", "--tls-verify=false")
    assert containers.skopeo(*inspect, f"docker://{public}").json()["Digest"] == images.sample.root
    assert refused(containers.skopeo(*inspect, f"docker://{private}", fails=True))
    shown = containers.skopeo(*inspect, "--creds", LOGIN, f"docker://{private}").json()
    assert shown["Digest"] == images.sample.root
    delete = ("delete", "--tls-verify=false")
    assert refused(containers.skopeo(*delete, f"docker://{public}", fails=True))
    containers.skopeo(*delete, "--creds", LOGIN, f"docker://{public}")


def test_ctr(public: str, private: str, ctr: Ctr) -> None:
    pull = ("images", "pull", "--plain-http", "--snapshotter", "native")
    ctr(*pull, public)
    assert refused(ctr(*pull, private, fails=True))
    ctr(*pull, "--user", LOGIN, private)
    ctr("images", "tag", private, f"{private}-2")
    push = ("images", "push", "--plain-http")
    assert refused(ctr(*push, f"{private}-2", fails=True))
    ctr(*push, "--user", LOGIN, f"{private}-2")
