"""A registry with accounts of its own: every client logs in, pulls and pushes as its account may.

Each test has two images in ann's namespace, a public one and a private one.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from tests.clients.content import config_digest
from tests.clients.images import Images
from tests.clients.programs import Containers, Ctr, Docker
from tests.clients.registries import Authority, Registry, running_registry
from tests.clients.test_tls import write_hosts
from tests.clients.test_tokens import refused
from tests.services.clients import SECURE_NAME, DockerEngine
from tests.services.hub_accounts import PASSWORD, create_access_token, create_robot, create_user

pytestmark = pytest.mark.ours_only

LOGIN = f"ann:{PASSWORD}"


@dataclass(frozen=True, slots=True)
class Hub:
    """A registry, and the secrets of its accounts."""

    registry: Registry
    robot: str
    """Of `ann+ci`, which may push to ann's repositories."""
    reader: str
    """An access token of ann's that may only pull."""
    unlimited: str
    """… and one that may all that she may."""

    def publish(self, repository: str) -> None:
        """Make a repository public, as ann does by the API."""
        target = f"/api/v1/repositories/{quote(repository, safe='')}/visibility"
        request = Request(f"{self.registry.wire.url}{target}", method="PUT")
        request.add_header("Authorization", f"Bearer {self.unlimited}")
        request.add_header("Content-Type", "application/json")
        request.data = b'{"visibility": "public"}'
        ca = self.registry.wire.ca
        trust = ssl.create_default_context(cafile=str(ca)) if ca else None
        with urlopen(request, context=trust, timeout=60) as answer:
            assert answer.status == 204


def with_accounts(registry: Registry) -> Hub:
    """Make ann and bob, and ann's robot and access tokens."""
    config = registry.config
    create_user(config, "ann")
    create_user(config, "bob")
    return Hub(
        registry,
        robot=create_robot(config, "ann", "ci", "ann/**=write"),
        reader=create_access_token(config, "ann", "reader", "ann/**=read"),
        unlimited=create_access_token(config, "ann", "laptop"),
    )


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub") / "registry"
    with running_registry(folder, auth={"hub": {}}) as running:
        yield with_accounts(running)


@pytest.fixture(scope="module")
def tls_hub(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("tls-hub") / "registry"
    with running_registry(folder, auth={"hub": {}}, tls=authority) as running:
        yield with_accounts(running)


@pytest.fixture
def private(images: Images, hub: Hub, containers: Containers, repository: str) -> str:
    """The sample, as only ann may pull it: pushing made its repository."""
    return put(images, hub, containers, f"ann/{repository}")


@pytest.fixture
def public(images: Images, hub: Hub, containers: Containers, repository: str) -> str:
    """The sample, as everybody may pull it."""
    name = put(images, hub, containers, f"ann/{repository}-public")
    hub.publish(f"ann/{repository}-public")
    return name


def put(images: Images, hub: Hub, containers: Containers, repository: str, *options: str) -> str:
    name = hub.registry.name(repository)
    push = ("copy", "--preserve-digests", "--dest-tls-verify=false", *options)
    source = images.sample.source
    containers.skopeo(*push, "--dest-creds", LOGIN, source, f"docker://{name}")
    return name


def test_docker(
    images: Images, hub: Hub, public: str, private: str, docker: Docker, repository: str
) -> None:
    host = hub.registry.host
    expected = config_digest(images.sample.documents, images.sample.root)
    docker("pull", public)
    assert docker.image_id(public) == expected
    assert refused(docker("pull", private, fails=True))
    login = ("login", "--username", "ann", "--password")
    assert refused(docker(*login, "wrong", host, fails=True))
    assert "Login Succeeded" in docker(*login, PASSWORD, host).out
    docker("pull", private)
    mine, others = f"{private}-2", hub.registry.name(f"bob/{repository}")
    for name in (mine, others):
        docker("tag", private, name)
    docker("push", mine)
    assert refused(docker("push", others, fails=True))
    docker("logout", host)
    assert refused(docker("pull", mine, fails=True))
    assert refused(docker("push", public, fails=True))
    docker("pull", public)


def test_docker_keeps_no_password(hub: Hub, private: str, docker: Docker) -> None:
    """But a refresh token, which ends with the login that it was got by."""
    host = hub.registry.host
    docker("login", "--username", "ann", "--password", hub.reader, host)
    kept = json.loads((docker.folder / "config.json").read_text())["auths"][host]
    assert kept["identitytoken"].startswith("rgf_")
    assert "password" not in kept
    docker("pull", private)
    docker("tag", private, f"{private}-2")
    assert refused(docker("push", f"{private}-2", fails=True))


def test_docker_as_a_robot(hub: Hub, private: str, docker: Docker, repository: str) -> None:
    docker("login", "--username", "ann+ci", "--password", hub.robot, hub.registry.host)
    docker("pull", private)
    docker("tag", private, f"{private}-2")
    docker("push", f"{private}-2")
    others = hub.registry.name(f"bob/{repository}")
    docker("tag", private, others)
    assert refused(docker("push", others, fails=True))


def test_docker_mounts_only_what_it_may_read(
    hub: Hub, private: str, docker: Docker, repository: str
) -> None:
    docker("login", "--username", "ann", "--password", PASSWORD, hub.registry.host)
    docker("pull", private)
    copy = hub.registry.name(f"ann/{repository}-copy")
    docker("tag", private, copy)
    assert "Mounted from" in docker("push", copy).out


def test_podman(
    hub: Hub, public: str, private: str, containers: Containers, repository: str
) -> None:
    host, insecure = hub.registry.host, "--tls-verify=false"
    containers.podman("pull", insecure, public)
    assert refused(containers.podman("pull", insecure, private, fails=True))
    login = ("login", insecure, "--password", PASSWORD, "--username")
    assert refused(containers.podman(*login, "nobody", host, fails=True))
    containers.podman(*login, "ann", host)
    containers.podman("pull", insecure, private)
    containers.podman("push", insecure, private, f"{private}-2")
    others = hub.registry.name(f"bob/{repository}")
    assert refused(containers.podman("push", insecure, private, others, fails=True))
    containers.podman("logout", host)
    assert refused(containers.podman("pull", insecure, f"{private}-2", fails=True))


def test_podman_searches_what_it_may_see(
    hub: Hub, public: str, private: str, containers: Containers, repository: str
) -> None:
    search = ("search", "--tls-verify=false", "--format", "{{.Name}}", "--limit", "100")
    where = f"{hub.registry.host}/{repository}"
    assert containers.podman(*search, where).out.split() == [public.removesuffix(":latest")]
    login = ("login", "--tls-verify=false", "--username", "ann", "--password", PASSWORD)
    containers.podman(*login, hub.registry.host)
    found = containers.podman(*search, where).out.split()
    assert found == [name.removesuffix(":latest") for name in (private, public)]


def test_skopeo(
    images: Images, hub: Hub, public: str, private: str, containers: Containers, repository: str
) -> None:
    inspect = ("inspect", "--tls-verify=false")
    assert containers.skopeo(*inspect, f"docker://{public}").json()["Digest"] == images.sample.root
    assert refused(containers.skopeo(*inspect, f"docker://{private}", fails=True))
    for login in (LOGIN, f"ann+ci:{hub.robot}", f"ann:{hub.reader}"):
        shown = containers.skopeo(*inspect, "--creds", login, f"docker://{private}").json()
        assert shown["Digest"] == images.sample.root
    for login in (f"bob:{PASSWORD}", f"bob:{hub.reader}", f"nobody-here:{PASSWORD}"):
        assert refused(
            containers.skopeo(*inspect, "--creds", login, f"docker://{private}", fails=True)
        )
    copy = ("copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--src-creds", LOGIN)
    source, target = f"docker://{private}", f"docker://{private}-2"
    containers.skopeo(*copy, "--dest-creds", f"ann+ci:{hub.robot}", source, target)
    for login in (f"ann:{hub.reader}", f"bob:{PASSWORD}"):
        assert refused(
            containers.skopeo(*copy, "--dest-creds", login, source, f"{target}-3", fails=True)
        )
    delete = ("delete", "--tls-verify=false")
    assert refused(containers.skopeo(*delete, "--creds", f"ann+ci:{hub.robot}", source, fails=True))
    containers.skopeo(*delete, "--creds", LOGIN, source)


def test_skopeo_says_wrong_passwords_even_about_public_images(
    public: str, containers: Containers
) -> None:
    inspect = ("inspect", "--tls-verify=false", "--creds", "bob:wrong", f"docker://{public}")
    assert refused(containers.skopeo(*inspect, fails=True))


def test_buildah(hub: Hub, public: str, private: str, containers: Containers) -> None:
    pull = ("pull", "--tls-verify=false")
    containers.buildah(*pull, public)
    assert refused(containers.buildah(*pull, private, fails=True))
    containers.buildah(*pull, "--creds", f"ann:{hub.reader}", private)
    push = ("push", "--tls-verify=false", "--creds")
    target = f"docker://{private}-2"
    assert refused(containers.buildah(*push, f"ann:{hub.reader}", private, target, fails=True))
    containers.buildah(*push, f"ann+ci:{hub.robot}", private, target)
    login = ("login", "--tls-verify=false", "--username", "ann", "--password", PASSWORD)
    containers.buildah(*login, hub.registry.host)
    containers.buildah(*pull, f"{private}-2")
    containers.buildah("logout", hub.registry.host)
    containers.buildah("rmi", "--all", "--force")
    assert refused(containers.buildah(*pull, private, fails=True))


def test_ctr(hub: Hub, public: str, private: str, ctr: Ctr, repository: str) -> None:
    pull = ("images", "pull", "--plain-http", "--snapshotter", "native")
    ctr(*pull, public)
    assert refused(ctr(*pull, private, fails=True))
    assert refused(ctr(*pull, "--user", f"nobody-there:{PASSWORD}", private, fails=True))
    ctr(*pull, "--user", f"ann:{hub.reader}", private)
    copy = hub.registry.name(f"ann/{repository}-copy")
    ctr("images", "tag", private, copy)
    push = ("images", "push", "--plain-http")
    assert refused(ctr(*push, copy, fails=True))
    assert refused(ctr(*push, "--user", f"ann:{hub.reader}", copy, fails=True))
    ctr(*push, "--user", f"ann+ci:{hub.robot}", copy)
    ctr(*pull, "--user", LOGIN, copy)


# With TLS of a private authority, which the token service is behind as well


def test_tls_with_docker(
    images: Images,
    authority: Authority,
    repository: str,
    engine: DockerEngine,
    docker: Docker,
    containers: Containers,
    tmp_path: Path,
) -> None:
    with running_registry(
        tmp_path / "registry", tls=authority, address="[::1]", auth={"hub": {}}
    ) as registry:
        create_user(registry.config, "ann")
        host = registry.host.replace("[::1]", SECURE_NAME)
        name = f"{host}/ann/{repository}:latest"
        archive = tmp_path / "image.tar"
        containers.skopeo("copy", images.docker_sample.source, f"docker-archive:{archive}:{name}")
        docker("load", "--input", archive)
        trusted = engine.certificates / host
        trusted.mkdir()
        (trusted / "ca.crt").write_bytes(authority.certificate.read_bytes())
        assert refused(docker("push", name, fails=True))
        docker("login", "--username", "ann", "--password", PASSWORD, host)
        docker("push", name)
        docker("image", "rm", name)
        docker("pull", name)


@pytest.fixture
def trust(authority: Authority, tmp_path: Path) -> Path:
    """A folder of certificates as `--cert-dir` wants it."""
    folder = tmp_path / "trust"
    folder.mkdir()
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    return folder


def test_tls_with_podman_skopeo_and_buildah(
    images: Images, tls_hub: Hub, repository: str, containers: Containers, trust: Path
) -> None:
    name = tls_hub.registry.name(f"ann/{repository}")
    push = ("copy", "--preserve-digests", "--dest-cert-dir", trust, "--dest-creds")
    source, target = images.sample.source, f"docker://{name}"
    assert refused(containers.skopeo(*push, f"bob:{PASSWORD}", source, target, fails=True))
    containers.skopeo(*push, f"ann+ci:{tls_hub.robot}", source, target)
    pull = ("pull", "--cert-dir", trust)
    assert refused(containers.podman(*pull, name, fails=True))
    login = ("login", "--cert-dir", trust, "--username", "ann", "--password", PASSWORD)
    containers.podman(*login, tls_hub.registry.host)
    containers.podman(*pull, name)
    containers.podman("logout", tls_hub.registry.host)
    containers.buildah(*pull, "--creds", f"ann:{tls_hub.reader}", name)
    tls_hub.publish(f"ann/{repository}")
    containers.podman(*pull, name)


def test_tls_with_ctr(
    images: Images,
    tls_hub: Hub,
    repository: str,
    containers: Containers,
    authority: Authority,
    trust: Path,
    ctr: Ctr,
    tmp_path: Path,
) -> None:
    name = tls_hub.registry.name(f"ann/{repository}")
    push = ("copy", "--preserve-digests", "--dest-cert-dir", trust, "--dest-creds", LOGIN)
    containers.skopeo(*push, images.sample.source, f"docker://{name}")
    write_hosts(tmp_path / "hosts", tls_hub.registry, f'ca = "{authority.certificate}"')
    pull = ("images", "pull", "--snapshotter", "native", "--hosts-dir", tmp_path / "hosts")
    assert refused(ctr(*pull, name, fails=True))
    ctr(*pull, "--user", f"ann:{tls_hub.reader}", name)
