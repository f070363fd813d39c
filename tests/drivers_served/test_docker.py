"""Docker pushes an image to a registry on every kind of store, and pulls the same one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clients.content import Wire, config_digest, layers_fit_the_config
from tests.clients.images import Images
from tests.clients.programs import Containers, Docker
from tests.drivers_served.common import Backend, MiB, serving
from tests.services.clients import docker_engine

LARGE = 20 * MiB
"""More than a part of any driver."""
LAYERS = 5
"""The sample's four, and the large one."""


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """One engine for all stores: to each it comes with a registry whose address it has not seen."""
    with docker_engine() as engine:
        yield Docker(f"unix://{engine.socket}", tmp_path_factory.mktemp("docker"))


@pytest.fixture(scope="module")
def archive(docker: Docker, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `docker save` makes of the sample with a large layer on top."""
    folder = tmp_path_factory.mktemp("image")
    base, large = folder / "base.tar", folder / "large.tar"
    containers = Containers.inside(folder / "containers")
    containers.skopeo("copy", images.docker_sample.source, f"docker-archive:{base}:sample:1")
    docker("load", "--input", base)
    (folder / "build").mkdir()
    (folder / "build" / "noise").write_bytes(random.Random(1).randbytes(LARGE))
    (folder / "build" / "Dockerfile").write_text("FROM sample:1\nCOPY noise /\n")
    docker("build", "--tag", "large:1", folder / "build")
    docker("save", "--output", large, "large:1")
    docker("image", "rm", "large:1", "sample:1")
    return large


def test_an_image_comes_back_the_same(
    tmp_path: Path, any_backend: Backend, docker: Docker, archive: Path
) -> None:
    with serving(tmp_path, any_backend) as server:
        name = f"{urlsplit(server.url).netloc}/team/app:1"
        docker("load", "--input", archive)
        docker("tag", "large:1", name)
        image_id = docker.image_id(name)
        pushed = docker("push", name)
        docker("image", "rm", name, "large:1")
        pulled = docker("pull", name)
        pulled_id = docker.image_id(name)
        docker("image", "rm", name)
        root, documents = Wire(server.url).closure("team/app", "1")
    assert pushed.out.count(": Pushed") == pulled.out.count(": Pull complete") == LAYERS
    assert f"digest: {root}" in pushed.out
    assert f"Digest: {root}" in pulled.out
    assert image_id == pulled_id == config_digest(documents, root)
    assert layers_fit_the_config(documents, root)
    assert any_backend.under_way() == []
