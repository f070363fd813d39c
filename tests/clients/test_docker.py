"""Docker pushes and pulls, by tag and by digest."""

from __future__ import annotations

import pytest

from tests.clients.content import config_digest, layers_fit_the_config
from tests.clients.images import Images
from tests.clients.programs import Containers, Docker
from tests.clients.registries import Registry


@pytest.fixture
def seeded(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> tuple[str, str]:
    """A repository into which skopeo has put the sample in Docker's format; its ID and digest."""
    image = images.docker_sample
    target = f"docker://{registry.name(repository)}"
    containers.skopeo("copy", "--dest-tls-verify=false", image.source, target)
    return config_digest(image.documents, image.root), image.root


def test_pull_by_tag_and_by_digest(
    seeded: tuple[str, str], registry: Registry, repository: str, docker: Docker
) -> None:
    image_id, digest = seeded
    for reference in ("latest", digest):
        name = registry.name(repository, reference)
        assert f"Digest: {digest}" in docker("pull", name).out
        assert docker.image_id(name) == image_id
        docker("image", "rm", name)


def test_a_pushed_image_comes_back_with_its_id(
    seeded: tuple[str, str], registry: Registry, repository: str, docker: Docker
) -> None:
    image_id, _ = seeded
    docker("pull", registry.name(repository))
    copy = f"{repository}/copy"
    docker("tag", registry.name(repository), registry.name(copy, "one"))
    docker("push", registry.name(copy, "one"))
    root, documents = registry.wire.closure(copy, "one")
    assert config_digest(documents, root) == image_id
    assert layers_fit_the_config(documents, root)
    docker("image", "rm", registry.name(repository), registry.name(copy, "one"))
    for reference in ("one", root):
        docker("pull", registry.name(copy, reference))
        assert docker.image_id(registry.name(copy, reference)) == image_id


def test_layers_that_docker_packs_itself(
    images: Images, registry: Registry, repository: str, docker: Docker, containers: Containers
) -> None:
    """A loaded image has no digests in any registry yet: all of it is uploaded."""
    archive = containers.folder / "image.tar"
    name = registry.name(repository)
    containers.skopeo("copy", images.docker_sample.source, f"docker-archive:{archive}:{name}")
    docker("load", "--input", archive)
    image_id = docker.image_id(name)
    pushed = docker("push", name)
    assert pushed.out.count(": Pushed") == 4
    docker("image", "rm", name)
    docker("pull", name)
    assert docker.image_id(name) == image_id
    root, documents = registry.wire.closure(repository, "latest")
    assert layers_fit_the_config(documents, root)


def test_a_second_push_finds_every_layer(
    seeded: tuple[str, str], registry: Registry, repository: str, docker: Docker
) -> None:
    name = registry.name(repository)
    docker("pull", name)
    docker("tag", name, registry.name(repository, "again"))
    pushed = docker("push", registry.name(repository, "again"))
    assert pushed.out.count(": Layer already exists") == 4
    assert ": Pushed" not in pushed.out


def test_a_second_repository_gets_its_layers_by_mount(
    seeded: tuple[str, str], registry: Registry, repository: str, docker: Docker
) -> None:
    docker("pull", registry.name(repository))
    second = f"{repository}/second"
    docker("tag", registry.name(repository), registry.name(second))
    pushed = docker("push", registry.name(second))
    assert pushed.out.count(f": Mounted from {repository}") == 4
    assert ": Pushed" not in pushed.out
    root, documents = registry.wire.closure(second, "latest")
    assert config_digest(documents, root) == seeded[0]


def test_an_oci_image_and_an_index_are_pulled(
    images: Images, registry: Registry, repository: str, docker: Docker, containers: Containers
) -> None:
    expected = config_digest(images.sample.documents, images.sample.root)
    for tag, image in (("single", images.sample), ("index", images.index)):
        name = registry.name(repository, tag)
        push = ("copy", "--all", "--preserve-digests", "--dest-tls-verify=false")
        containers.skopeo(*push, image.source, f"docker://{name}")
        assert f"Digest: {image.root}" in docker("pull", name).out
        assert docker.image_id(name) == expected


def test_all_tags_of_a_repository(
    seeded: tuple[str, str], registry: Registry, repository: str, docker: Docker
) -> None:
    image_id, _ = seeded
    docker("pull", registry.name(repository))
    copy = f"{repository}/tags"
    for tag in ("one", "two"):
        docker("tag", registry.name(repository), registry.name(copy, tag))
    docker("push", "--all-tags", f"{registry.host}/{copy}")
    docker("image", "rm", registry.name(copy, "one"), registry.name(copy, "two"))
    docker("pull", "--all-tags", f"{registry.host}/{copy}")
    assert docker.image_id(registry.name(copy, "two")) == image_id


def test_an_unknown_tag_is_refused_in_words(
    seeded: tuple[str, str], registry: Registry, repository: str, docker: Docker
) -> None:
    refused = docker("pull", registry.name(repository, "absent"), fails=True)
    assert "manifest" in refused.err
    assert "unknown" in refused.err or "not found" in refused.err


def test_a_manifest_list_is_put_together_and_inspected(
    seeded: tuple[str, str], registry: Registry, repository: str, docker: Docker
) -> None:
    """`docker manifest` talks to the registry from the command line, without the engine."""
    name = registry.name(repository, "list")
    docker("manifest", "create", "--insecure", name, registry.name(repository))
    docker("manifest", "push", "--insecure", name)
    shown = docker("manifest", "inspect", "--insecure", name).json()
    assert [entry["digest"] for entry in shown["manifests"]] == [seeded[1]]
