"""Many clients at once, on a server with two workers: shared layers, one repository, one tag."""

from __future__ import annotations

from collections.abc import Iterable

from tests.clients.content import config_digest, in_directory, layers_fit_the_config
from tests.clients.images import Image, Images
from tests.clients.programs import Containers, Docker, Result, finish, start
from tests.clients.registries import Registry


def push_at_once(
    containers: Containers, targets: Iterable[tuple[Image, str]], *words: str
) -> list[Result]:
    """Push every image to its name, all at the same time."""
    command = ("skopeo", "copy", "--dest-tls-verify=false", *words)
    running = [
        start(*command, image.source, f"docker://{name}", env=containers.environment)
        for image, name in targets
    ]
    return [finish(process) for process in running]


def test_two_pushes_that_share_layers(
    images: Images, busy_registry: Registry, repository: str, containers: Containers
) -> None:
    """To two repositories and into one, when nothing of it is there yet."""
    registry = busy_registry
    pair = {"sample": images.sample, "sibling": images.sibling}
    apart = [(image, registry.name(f"{repository}/{tag}")) for tag, image in pair.items()]
    together = [(image, registry.name(repository, tag)) for tag, image in pair.items()]
    push_at_once(containers, [*apart, *together], "--preserve-digests")
    for tag, image in pair.items():
        whole = (image.root, image.documents)
        assert registry.wire.closure(f"{repository}/{tag}", "latest") == whole
        assert registry.wire.closure(repository, tag) == whole


def test_four_clients_race_for_one_tag(
    images: Images, busy_registry: Registry, repository: str, containers: Containers
) -> None:
    """All of them succeed; the tag ends at one of the two images, and both are whole."""
    registry = busy_registry
    name = registry.name(repository)
    racers = [images.sample, images.sibling] * 2
    push_at_once(containers, [(image, name) for image in racers], "--preserve-digests")
    root, _ = registry.wire.closure(repository, "latest")
    assert root in {image.root for image in racers}
    for image in racers:
        whole = (image.root, image.documents)
        assert registry.wire.closure(repository, image.root) == whole


def test_an_index_and_its_images_at_once(
    images: Images, busy_registry: Registry, repository: str, containers: Containers
) -> None:
    registry = busy_registry
    targets = [(images.index, registry.name(repository, tag)) for tag in ("one", "two", "three")]
    push_at_once(containers, targets, "--preserve-digests", "--all")
    for tag in ("one", "two", "three"):
        whole = (images.index.root, images.index.documents)
        assert registry.wire.closure(repository, tag) == whole


def test_docker_podman_and_skopeo_push_the_same_image_at_once(
    images: Images,
    busy_registry: Registry,
    repository: str,
    containers: Containers,
    docker: Docker,
) -> None:
    registry = busy_registry
    image = images.docker_sample
    image_id = config_digest(image.documents, image.root)
    archive = containers.folder / "image.tar"
    name = registry.name(repository, "docker")
    containers.skopeo("copy", image.source, f"docker-archive:{archive}:{name}")
    docker("load", "--input", archive)
    containers.podman("load", "--input", archive)

    podman = ("podman", "--cgroup-manager=cgroupfs", "push", "--tls-verify=false", name)
    skopeo = ("skopeo", "copy", "--dest-tls-verify=false", image.source)
    running = [
        docker.start("push", name),
        start(*podman, registry.name(repository, "podman"), env=containers.environment),
        start(
            *skopeo, f"docker://{registry.name(repository, 'skopeo')}", env=containers.environment
        ),
    ]
    for process in running:
        finish(process)
    for tag in ("docker", "podman", "skopeo"):
        root, documents = registry.wire.closure(repository, tag)
        assert layers_fit_the_config(documents, root)
        assert config_digest(documents, root) == image_id


def test_pulls_while_a_tag_moves(
    images: Images, busy_registry: Registry, repository: str, containers: Containers
) -> None:
    """A pull gets the old image or the new one, never a mixture and never nothing."""
    registry = busy_registry
    name = f"docker://{registry.name(repository)}"
    both = (images.sample, images.sibling)
    push = ("copy", "--preserve-digests", "--dest-tls-verify=false")
    containers.skopeo(*push, images.sample.source, name)
    for round_number in range(4):
        mover = start(
            *("skopeo", *push, both[round_number % 2].source, name), env=containers.environment
        )
        pull = ("skopeo", "copy", "--preserve-digests", "--src-tls-verify=false", name)
        pulls = [
            start(*pull, f"dir:{containers.folder}/{round_number}-{n}", env=containers.environment)
            for n in range(2)
        ]
        for process in (mover, *pulls):
            finish(process)
        for n in range(2):
            got = in_directory(containers.folder / f"{round_number}-{n}")
            assert got in [(image.root, image.documents) for image in both]
