"""The line is cut in the middle of a layer, and the client goes on or begins again."""

from __future__ import annotations

import pytest

from tests.clients.content import config_digest, layers_fit_the_config
from tests.clients.images import Image, Images
from tests.clients.programs import Containers, Ctr, Docker
from tests.clients.registries import Registry
from tests.clients.relay import Relay, relay_to

MIDDLE = 700_000
"""More than all of the sample has but its first layer: in that layer, then, the line is cut."""


@pytest.fixture
def image(images: Images, registry: Registry, repository: str, containers: Containers) -> Image:
    """The sample in Docker's format, which is in the registry."""
    push = ("copy", "--preserve-digests", "--dest-tls-verify=false", images.docker_sample.source)
    containers.skopeo(*push, f"docker://{registry.name(repository)}")
    return images.docker_sample


def was_resumed(relay: Relay) -> bool:
    """Whether the line was cut, and a client then asked for what came after."""
    starts = [int(asked.partition("-")[0]) for asked in relay.ranges()]
    return relay.answers.cut_after == 0 and any(start > 0 for start in starts)


def test_docker_resumes(image: Image, registry: Registry, repository: str, docker: Docker) -> None:
    with relay_to(registry, cut_answers_after=MIDDLE) as relay:
        name = f"{relay.host}/{repository}:latest"
        docker("pull", name)
        assert docker.image_id(name) == config_digest(image.documents, image.root)
        assert was_resumed(relay), relay.ranges()


def test_containerd_resumes(image: Image, registry: Registry, repository: str, ctr: Ctr) -> None:
    with relay_to(registry, cut_answers_after=MIDDLE) as relay:
        pull = ("images", "pull", "--plain-http", "--snapshotter", "native")
        ctr(*pull, f"{relay.host}/{repository}:latest")
        assert {digest: ctr.blob(digest) for digest in image.documents} == image.documents
        assert was_resumed(relay), relay.ranges()


def test_docker_pushes_again(
    images: Images, registry: Registry, repository: str, containers: Containers, docker: Docker
) -> None:
    image = images.docker_sample
    with relay_to(registry, cut_requests_after=MIDDLE) as relay:
        name = f"{relay.host}/{repository}:latest"
        archive = containers.folder / "image.tar"
        containers.skopeo("copy", image.source, f"docker-archive:{archive}:{name}")
        docker("load", "--input", archive)
        docker("push", name)
        assert relay.requests.cut_after == 0
        root, documents = registry.wire.closure(repository, "latest")
        assert config_digest(documents, root) == config_digest(image.documents, image.root)
        assert layers_fit_the_config(documents, root)
