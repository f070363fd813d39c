"""A registry with a certificate of a private authority is trusted by who knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.content import config_digest, in_directory
from tests.clients.images import Images
from tests.clients.programs import Containers, Ctr, Docker, Result
from tests.clients.registries import PASSWORD, USER, Authority, Registry, running_registry
from tests.services.clients import SECURE_NAME, DockerEngine

LOGIN = f"{USER}:{PASSWORD}"


@pytest.fixture
def trust(authority: Authority, tmp_path: Path) -> Path:
    """A folder of certificates as `--cert-dir` wants it."""
    folder = tmp_path / "trust"
    folder.mkdir()
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    return folder


def distrusted(result: Result) -> bool:
    """Whether the client rejected the certificate."""
    return "certificate signed by unknown authority" in result.text


def test_docker_trusts_what_certs_d_names(
    images: Images,
    authority: Authority,
    repository: str,
    containers: Containers,
    engine: DockerEngine,
    docker: Docker,
    tmp_path: Path,
) -> None:
    with running_registry(tmp_path / "registry", tls=authority, address="[::1]") as registry:
        host = registry.host.replace("[::1]", SECURE_NAME)
        name = f"{host}/{repository}:latest"
        archive = tmp_path / "image.tar"
        containers.skopeo("copy", images.docker_sample.source, f"docker-archive:{archive}:{name}")
        docker("load", "--input", archive)
        assert distrusted(docker("push", name, fails=True))
        trusted = engine.certificates / host
        trusted.mkdir()
        (trusted / "ca.crt").write_bytes(authority.certificate.read_bytes())
        docker("push", name)
        image_id = docker.image_id(name)
        docker("image", "rm", name)
        docker("pull", name)
        assert docker.image_id(name) == image_id
        root, documents = registry.wire.closure(repository, "latest")
        assert config_digest(documents, root) == image_id


def test_podman_trusts_its_cert_dir(
    images: Images,
    tls_registry: Registry,
    repository: str,
    containers: Containers,
    trust: Path,
) -> None:
    name = tls_registry.name(repository)
    containers.podman("pull", images.sample.source)
    image_id = config_digest(images.sample.documents, images.sample.root).partition(":")[2]
    assert distrusted(containers.podman("push", "--creds", LOGIN, image_id, name, fails=True))
    with_trust = ("--cert-dir", trust, "--creds", LOGIN)
    containers.podman("push", *with_trust, image_id, name)
    containers.podman("image", "rm", "--all", "--force")
    assert containers.podman("pull", *with_trust, name).out.strip() == image_id


def test_skopeo_and_buildah_trust_their_cert_dir(
    images: Images,
    tls_registry: Registry,
    repository: str,
    containers: Containers,
    trust: Path,
    tmp_path: Path,
) -> None:
    sample = images.sample
    name = f"docker://{tls_registry.name(repository)}"
    push = ("copy", "--preserve-digests", "--dest-creds", LOGIN)
    assert distrusted(containers.skopeo(*push, sample.source, name, fails=True))
    containers.skopeo(*push, "--dest-cert-dir", trust, sample.source, name)
    pull = ("copy", "--src-creds", LOGIN, "--src-cert-dir", trust)
    containers.skopeo(*pull, name, f"dir:{tmp_path}/back")
    assert in_directory(tmp_path / "back") == (sample.root, sample.documents)
    containers.buildah("pull", "--creds", LOGIN, "--cert-dir", trust, name)


def test_ctr_trusts_what_its_hosts_folder_names(
    images: Images,
    tls_registry: Registry,
    repository: str,
    containers: Containers,
    authority: Authority,
    trust: Path,
    ctr: Ctr,
    tmp_path: Path,
) -> None:
    """A folder of hosts it must be: ctr speaks plain HTTP to loopback unless one says otherwise."""
    sample = images.sample
    name = tls_registry.name(repository)
    push = ("copy", "--preserve-digests", "--dest-creds", LOGIN, "--dest-cert-dir", trust)
    containers.skopeo(*push, sample.source, f"docker://{name}")
    login = ("--user", LOGIN, "--hosts-dir", tmp_path / "hosts")
    pull = ("images", "pull", "--snapshotter", "native", *login, name)
    write_hosts(tmp_path / "hosts", tls_registry, "")
    assert distrusted(ctr(*pull, fails=True))
    write_hosts(tmp_path / "hosts", tls_registry, f'ca = "{authority.certificate}"')
    ctr(*pull)
    copy = tls_registry.name(f"{repository}/copy")
    ctr("images", "tag", name, copy)
    ctr("images", "push", *login, copy)
    expected = (sample.root, sample.documents)
    assert tls_registry.wire.closure(f"{repository}/copy", "latest") == expected


def write_hosts(hosts: Path, registry: Registry, trust: str) -> None:
    """Tell containerd to speak TLS with a registry, and whom to trust there."""
    folder = hosts / registry.host
    folder.mkdir(parents=True, exist_ok=True)
    abilities = 'capabilities = ["pull", "resolve", "push"]'
    (folder / "hosts.toml").write_text(f'[host."{registry.wire.url}"]\n{abilities}\n{trust}\n')
