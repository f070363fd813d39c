"""podman and buildah push and pull; what they unpack holds the very files that were packed."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import pytest

from tests.clients.content import config_digest, layers_fit_the_config
from tests.clients.images import Images, files_below
from tests.clients.programs import Containers
from tests.clients.registries import Registry
from tests.clients.relay import relay_to


@pytest.fixture
def loaded(images: Images, containers: Containers) -> str:
    """The ID of the sample in podman's storage, where it is called `localhost/sample`."""
    containers.podman("pull", images.sample.source)
    image_id = config_digest(images.sample.documents, images.sample.root)
    containers.podman("tag", image_id.partition(":")[2], "localhost/sample")
    return image_id


def unpacked(containers: Containers, name: str) -> dict[str, str]:
    """The files of an image in podman's storage."""
    mounted = containers.podman("image", "mount", name).out.strip()
    files = files_below(Path(mounted))
    containers.podman("image", "umount", name)
    return files


def test_podman_pushes_and_pulls(
    loaded: str, images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    name = registry.name(repository)
    containers.podman("push", "--tls-verify=false", "localhost/sample", name)
    root, documents = registry.wire.closure(repository, "latest")
    assert config_digest(documents, root) == loaded
    assert layers_fit_the_config(documents, root)
    for reference in ("latest", root):
        containers.podman("image", "rm", "--all", "--force")
        pull = ("pull", "--tls-verify=false", registry.name(repository, reference))
        assert containers.podman(*pull).out.strip() == loaded.partition(":")[2]
    assert unpacked(containers, registry.name(repository, root)) == images.sample_files


def test_podman_pushes_both_formats_under_one_name(
    loaded: str, registry: Registry, repository: str, containers: Containers
) -> None:
    for form in ("v2s2", "oci"):
        push = ("push", "--tls-verify=false", "--format", form, "localhost/sample")
        containers.podman(*push, registry.name(repository, form))
        root, documents = registry.wire.closure(repository, form)
        assert layers_fit_the_config(documents, root)
    answer = registry.wire.get(f"{repository}/manifests/v2s2")
    assert "docker.distribution" in answer.headers["content-type"]


def push_chunked(
    containers: Containers, images: Images, host: str, repository: str, tag: str
) -> tuple[str, dict[str, str]]:
    """Push a new image of one zstd:chunked layer; its name, and the files that it holds.

    The file that makes it new keeps podman from using a layer that it knows to be in the registry
    with another compression.
    """
    container = containers.buildah("from", "scratch").out.strip()
    root = Path(containers.buildah("mount", container).out.strip())
    shutil.copytree(images.folder / "trees" / "tzdata", root, symlinks=True, dirs_exist_ok=True)
    (root / "new").write_text(secrets.token_hex())
    files = files_below(root)
    local = containers.buildah("commit", "--rm", container, f"localhost/{tag}").out.strip()
    name = f"{host}/{repository}:{tag}"
    push = ("push", "--tls-verify=false", "--compression-format", "zstd:chunked")
    containers.podman(*push, local, name)
    containers.podman("image", "rm", "--force", local)
    return name, files


def test_zstd_chunked_layers_are_pulled_in_parts(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    """podman reads a layer's table of contents and then the files that it lacks.

    With an empty storage it lacks all of them, and asks for hundreds of ranges in one request; with
    another version of the image there, it lacks the one file that is new.
    """
    with relay_to(registry) as relay:
        first, first_files = push_chunked(containers, images, relay.host, repository, "first")
        second, second_files = push_chunked(containers, images, relay.host, repository, "second")
        _, whole = registry.wire.closure(repository, "second")

        relay.forget()
        pull_in_parts(containers, first)
        assert max(ranges.count(",") for ranges in relay.ranges()) > 100
        assert b"multipart/byteranges" in relay.answers.said
        assert unpacked(containers, first) == first_files

        relay.forget()
        pull_in_parts(containers, second)
        assert len(relay.answers.said) < sum(map(len, whole.values())) / 4
        assert unpacked(containers, second) == second_files


def pull_in_parts(containers: Containers, name: str) -> None:
    """Pull, and see that podman did not fall back to fetching the layer as a whole."""
    pulled = containers.podman("--log-level=debug", "pull", "--tls-verify=false", name)
    assert "Retrieved partial blob" in pulled.err
    assert "Failed to retrieve partial blob" not in pulled.err


def test_podman_pushes_a_manifest_list(
    loaded: str, images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    name = registry.name(repository)
    containers.podman("manifest", "create", "both", "containers-storage:localhost/sample")
    push = ("manifest", "push", "--all", "--tls-verify=false", "both", f"docker://{name}")
    containers.podman(*push)
    _, documents = registry.wire.closure(repository, "latest")
    assert loaded in documents
    containers.podman("image", "rm", "--all", "--force")
    pulled = containers.podman("pull", "--tls-verify=false", name)
    assert pulled.out.strip() == loaded.partition(":")[2]


def test_buildah_pushes_and_pulls(
    loaded: str, images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    name = registry.name(repository)
    containers.buildah("push", "--tls-verify=false", "localhost/sample", f"docker://{name}")
    root, documents = registry.wire.closure(repository, "latest")
    assert layers_fit_the_config(documents, root)
    for reference in (name, registry.name(repository, root)):
        containers.buildah("rmi", "--all", "--force")
        pulled = containers.buildah("pull", "--tls-verify=false", reference)
        assert pulled.out.strip() == loaded.partition(":")[2]
    assert unpacked(containers, registry.name(repository, root)) == images.sample_files


def test_buildah_builds_upon_a_pulled_image(
    loaded: str, registry: Registry, repository: str, containers: Containers, tmp_path: Path
) -> None:
    base = registry.name(repository, "base")
    containers.podman("push", "--tls-verify=false", "localhost/sample", base)
    containers.podman("image", "rm", "--all", "--force")
    recipe = tmp_path / "Containerfile"
    (tmp_path / "note").write_text("built upon a pulled base\n")
    recipe.write_text(f"FROM {base}\nCOPY note /note\n")
    built = registry.name(repository, "built")
    containers.buildah("build", "--tls-verify=false", "--tag", built, "--file", recipe, tmp_path)
    containers.buildah("push", "--tls-verify=false", built)
    root, documents = registry.wire.closure(repository, "built")
    assert layers_fit_the_config(documents, root)
