"""A registry that asks for a login: every client gets in with it, and stays out without it."""

from __future__ import annotations

import subprocess

from tests.clients.content import config_digest
from tests.clients.images import Images
from tests.clients.programs import Containers, Ctr, Docker, Result
from tests.clients.registries import PASSWORD, USER, Registry

LOGIN = f"{USER}:{PASSWORD}"


def refused(result: Result) -> bool:
    """Whether the client says, in its own words, that a login is missing or wrong."""
    words = (
        "unauthorized",
        "authentication required",
        "no basic auth credentials",
        "invalid username/password",
    )
    return any(word in result.text.lower() for word in words)


def put(containers: Containers, images: Images, registry: Registry, repository: str) -> str:
    """Put the sample into the registry and return its name."""
    name = registry.name(repository)
    push = ("copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", LOGIN)
    containers.skopeo(*push, images.sample.source, f"docker://{name}")
    return name


def test_docker_logs_in_and_out(
    images: Images,
    guarded_registry: Registry,
    repository: str,
    containers: Containers,
    docker: Docker,
) -> None:
    registry = guarded_registry
    name = put(containers, images, registry, repository)
    assert refused(docker("pull", name, fails=True))
    login = ("login", "--username", USER, "--password", PASSWORD, registry.host)
    assert "Login Succeeded" in docker(*login).out
    docker("pull", name)
    docker("tag", name, registry.name(repository, "two"))
    docker("push", registry.name(repository, "two"))
    root, documents = registry.wire.closure(repository, "two")
    assert docker.image_id(name) == config_digest(documents, root)
    docker("logout", registry.host)
    assert refused(docker("push", name, fails=True))


def test_docker_is_told_that_the_password_is_wrong(
    guarded_registry: Registry, docker: Docker
) -> None:
    login = ("login", "--username", USER, "--password", "wrong", guarded_registry.host)
    assert refused(docker(*login, fails=True))


def test_podman_logs_in_and_out(
    images: Images, guarded_registry: Registry, repository: str, containers: Containers
) -> None:
    registry = guarded_registry
    name = registry.name(repository)
    containers.podman("pull", images.sample.source)
    image_id = config_digest(images.sample.documents, images.sample.root).partition(":")[2]
    push = ("push", "--tls-verify=false", image_id, name)
    assert refused(containers.podman(*push, fails=True))
    login = ("login", "--tls-verify=false", "--username", USER)
    assert refused(containers.podman(*login, "--password", "wrong", registry.host, fails=True))
    containers.podman(*login, "--password", PASSWORD, registry.host)
    containers.podman(*push)
    containers.podman("image", "rm", "--all", "--force")
    pull = ("pull", "--tls-verify=false", name)
    assert containers.podman(*pull).out.strip() == image_id
    containers.podman("logout", registry.host)
    assert refused(containers.podman(*pull, fails=True))


def test_buildah_logs_in_and_out(
    images: Images, guarded_registry: Registry, repository: str, containers: Containers
) -> None:
    registry = guarded_registry
    name = put(containers, images, registry, repository)
    pull = ("pull", "--tls-verify=false", name)
    assert refused(containers.buildah(*pull, fails=True))
    login = ("login", "--tls-verify=false", "--username", USER, "--password", PASSWORD)
    containers.buildah(*login, registry.host)
    containers.buildah(*pull)
    copy = registry.name(repository, "copy")
    containers.buildah("push", "--tls-verify=false", name, f"docker://{copy}")
    assert sorted(registry.wire.tags(repository)) == ["copy", "latest"]
    containers.buildah("logout", registry.host)
    containers.buildah("rmi", "--all", "--force")
    assert refused(containers.buildah(*pull, fails=True))


def test_skopeo_brings_its_credentials(
    images: Images, guarded_registry: Registry, repository: str, containers: Containers
) -> None:
    name = put(containers, images, guarded_registry, repository)
    inspect = ("inspect", "--tls-verify=false", f"docker://{name}")
    assert refused(containers.skopeo(*inspect, fails=True))
    shown = containers.skopeo(*inspect, "--creds", LOGIN).json()
    assert shown["Digest"] == images.sample.root
    assert refused(containers.skopeo(*inspect, "--creds", f"{USER}:wrong", fails=True))
    delete = ("delete", "--tls-verify=false", f"docker://{name}")
    assert refused(containers.skopeo(*delete, fails=True))
    containers.skopeo(*delete, "--creds", LOGIN)


def test_ctr_brings_its_credentials(
    images: Images,
    guarded_registry: Registry,
    repository: str,
    containers: Containers,
    ctr: Ctr,
) -> None:
    registry = guarded_registry
    name = put(containers, images, registry, repository)
    pull = ("images", "pull", "--plain-http", "--snapshotter", "native")
    assert refused(ctr(*pull, name, fails=True))
    ctr(*pull, "--user", LOGIN, name)
    copy = registry.name(f"{repository}/copy")
    ctr("images", "tag", name, copy)
    push = ("images", "push", "--plain-http")
    assert refused(ctr(*push, copy, fails=True))
    ctr(*push, "--user", LOGIN, copy)
    expected = (images.sample.root, images.sample.documents)
    assert registry.wire.closure(f"{repository}/copy", "latest") == expected


def test_curl_is_told_what_to_do(guarded_registry: Registry) -> None:
    """A person with nothing but curl sees the challenge, and JSON that says why."""
    ask = ("curl", "--silent", "--include", f"{guarded_registry.wire.url}/v2/")
    shown = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    assert " 401 " in shown
    assert 'Basic realm="clients"' in shown
    assert '"UNAUTHORIZED"' in shown
