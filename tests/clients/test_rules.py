"""A registry with rules: what clients see of what they may not do, and of what needs no login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.clients.content import config_digest, layers_fit_the_config
from tests.clients.images import Images
from tests.clients.programs import Containers, Ctr, Docker
from tests.clients.registries import PASSWORD, USER, Registry, running_registry

pytestmark = pytest.mark.ours_only

LOGIN = f"{USER}:{PASSWORD}"
RULES = """
groups:
  developers: [ann]
rules:
  - {repositories: ["team/**", "public/**"], groups: [developers], actions: [pull, push]}
  - {repositories: ["release/**"], groups: [developers], actions: [pull, create-only]}
  - {repositories: ["team/**"], users: [bob], actions: [pull]}
  - {repositories: ["carol/**"], users: [carol], actions: [pull, push]}
  - {repositories: ["public/**"], anonymous: true, actions: [pull]}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with `RULES`."""
    folder = tmp_path_factory.mktemp("ruled") / "registry"
    with running_registry(folder, login=True, rules=RULES) as running:
        yield running


def put(containers: Containers, images: Images, name: str) -> None:
    """Put the sample into the registry."""
    push = ("copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", LOGIN)
    containers.skopeo(*push, images.docker_sample.source, f"docker://{name}")


def log_in(docker: Docker, registry: Registry, user: str) -> None:
    """Log Docker in."""
    docker("login", "--username", user, "--password", PASSWORD, registry.host)


def test_podman_and_ctr_pull_what_is_public_without_a_login(
    images: Images, registry: Registry, repository: str, containers: Containers, ctr: Ctr
) -> None:
    name = registry.name(f"public/{repository}")
    put(containers, images, name)
    image_id = config_digest(images.docker_sample.documents, images.docker_sample.root)
    pulled = containers.podman("pull", "--tls-verify=false", name)
    assert pulled.out.strip() == image_id.partition(":")[2]
    ctr("images", "pull", "--plain-http", "--snapshotter", "native", name)
    assert ctr.blob(images.docker_sample.root)


def test_docker_needs_a_login_even_for_what_is_public(
    images: Images, registry: Registry, repository: str, containers: Containers, docker: Docker
) -> None:
    """Docker asks for `/v2/` first, and stops at a Basic challenge that it has no password for.

    Without a challenge there, it would never send the password that it has.
    """
    name = registry.name(f"public/{repository}")
    put(containers, images, name)
    assert "no basic auth credentials" in docker("pull", name, fails=True).err
    log_in(docker, registry, "carol")
    docker("pull", name)


def test_nobody_pushes_without_a_login(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    push = ("copy", "--dest-tls-verify=false", images.sample.source)
    name = f"docker://{registry.name(f'public/{repository}')}"
    assert "unauthorized" in containers.skopeo(*push, name, fails=True).text


def test_docker_is_denied_a_push_in_words(
    images: Images, registry: Registry, repository: str, containers: Containers, docker: Docker
) -> None:
    name = registry.name(f"team/{repository}")
    put(containers, images, name)
    log_in(docker, registry, "bob")
    docker("pull", name)
    assert "denied" in docker("push", name, fails=True).err


def test_who_may_not_pull_learns_nothing(
    images: Images, registry: Registry, repository: str, containers: Containers, docker: Docker
) -> None:
    """What is hidden and what does not exist answer with the same words."""
    name = registry.name(f"team/{repository}")
    put(containers, images, name)
    log_in(docker, registry, "carol")
    hidden = docker("pull", name, fails=True).err
    absent = docker("pull", f"{name}-absent", fails=True).err
    assert hidden == absent.replace("-absent", "")


def test_docker_uploads_what_it_may_not_mount(
    images: Images, registry: Registry, repository: str, containers: Containers, docker: Docker
) -> None:
    """Docker proposes the repository that it pulled from; the new user may not read there."""
    source = registry.name(f"team/{repository}")
    put(containers, images, source)
    log_in(docker, registry, "ann")
    docker("pull", source)
    target = f"carol/{repository}"
    docker("tag", source, registry.name(target))
    docker("logout", registry.host)
    log_in(docker, registry, "carol")
    pushed = docker("push", registry.name(target))
    assert ": Mounted from" not in pushed.out
    assert pushed.out.count(": Pushed") == 4
    as_carol = replace(registry.wire, credentials=("carol", PASSWORD))
    root, documents = as_carol.closure(target, "latest")
    assert layers_fit_the_config(documents, root)


def test_a_release_is_pushed_once(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    """The same image again is no change; another one under the same tag is denied."""
    push = ("copy", "--preserve-digests", "--dest-tls-verify=false", "--dest-creds", LOGIN)
    name = f"docker://{registry.name(f'release/{repository}', '1.0')}"
    for _ in range(2):
        containers.skopeo(*push, images.sample.source, name)
    moved = containers.skopeo(*push, images.sibling.source, name, fails=True)
    assert "denied" in moved.text
    root, _ = registry.wire.closure(f"release/{repository}", "1.0")
    assert root == images.sample.root
