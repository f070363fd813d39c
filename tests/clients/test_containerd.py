"""containerd pushes and pulls with `ctr`, and keeps the bytes that the registry sent.

Debian's containerd 1.6 fetches each layer in one request; fetching one layer in parallel parts came
with containerd 2.1, so here only ranges from the start of an interrupted layer on can occur.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.images import Image, Images
from tests.clients.programs import Containers, Ctr
from tests.clients.registries import Registry
from tests.services.clients import containerd

PULL = ("images", "pull", "--plain-http", "--snapshotter", "native")


def put(containers: Containers, image: Image, name: str) -> None:
    """Put an image into the registry with skopeo."""
    push = ("copy", "--all", "--preserve-digests", "--dest-tls-verify=false")
    containers.skopeo(*push, image.source, f"docker://{name}")


def holds(ctr: Ctr, image: Image) -> bool:
    """Whether containerd has every byte of an image."""
    return {digest: ctr.blob(digest) for digest in image.documents} == image.documents


@pytest.mark.parametrize("kind", ["sample", "docker_sample", "index", "docker_index"])
def test_what_ctr_pulls_and_pushes_stays_as_it_was(
    kind: str,
    images: Images,
    registry: Registry,
    repository: str,
    containers: Containers,
    ctr: Ctr,
) -> None:
    image: Image = getattr(images, kind)
    put(containers, image, registry.name(repository))
    ctr(*PULL, "--all-platforms", registry.name(repository))
    assert holds(ctr, image)
    copy = f"{repository}/copy"
    ctr("images", "tag", registry.name(repository), registry.name(copy))
    ctr("images", "push", "--plain-http", registry.name(copy))
    assert registry.wire.closure(copy, "latest") == (image.root, image.documents)


def test_pull_by_digest_after_removing_the_tag(
    images: Images, registry: Registry, repository: str, containers: Containers, ctr: Ctr
) -> None:
    image = images.sample
    put(containers, image, registry.name(repository))
    for reference in ("latest", image.root):
        name = registry.name(repository, reference)
        ctr(*PULL, name)
        assert holds(ctr, image)
        ctr("images", "rm", "--sync", name)


def test_an_imported_image_is_pushed_and_pulled_by_another_containerd(
    images: Images,
    registry: Registry,
    repository: str,
    containers: Containers,
    ctr: Ctr,
    tmp_path: Path,
) -> None:
    image = images.sample
    name = registry.name(repository)
    archive = tmp_path / "image.tar"
    copy = ("copy", "--preserve-digests", image.source, f"oci-archive:{archive}:latest")
    containers.skopeo(*copy)
    ctr("images", "import", "--base-name", f"{registry.host}/{repository}", archive)
    ctr("images", "push", "--plain-http", name)
    assert registry.wire.closure(repository, "latest") == (image.root, image.documents)
    with containerd() as socket:
        Ctr(socket)(*PULL, name)
        assert holds(Ctr(socket), image)


def test_ctr_fetches_many_layers_at_once(
    images: Images, registry: Registry, repository: str, containers: Containers, ctr: Ctr
) -> None:
    put(containers, images.sample, registry.name(repository))
    ctr(*PULL, "--max-concurrent-downloads", "4", registry.name(repository))
    assert holds(ctr, images.sample)
