"""skopeo copies, inspects, lists, synchronises and deletes; podman searches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.content import in_directory, in_layout
from tests.clients.images import Image, Images
from tests.clients.programs import Containers
from tests.clients.registries import Registry

SCHEMA_2 = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
PUSH = ("copy", "--dest-tls-verify=false", "--preserve-digests")
CONVERT = ("copy", "--dest-tls-verify=false", "--format")
PULL = ("copy", "--src-tls-verify=false", "--preserve-digests")


def push(
    containers: Containers, image: Image, registry: Registry, repository: str, *words: str
) -> str:
    """Push and return the name for skopeo."""
    target = f"docker://{registry.name(repository)}"
    containers.skopeo(*PUSH, *words, image.source, target)
    return target


@pytest.mark.parametrize("kind", ["sample", "docker_sample"])
def test_a_copy_comes_back_as_it_went(
    kind: str,
    images: Images,
    registry: Registry,
    repository: str,
    containers: Containers,
    tmp_path: Path,
) -> None:
    image: Image = getattr(images, kind)
    name = push(containers, image, registry, repository)
    assert registry.wire.closure(repository, "latest") == (image.root, image.documents)
    containers.skopeo(*PULL, name, f"dir:{tmp_path}/back")
    assert in_directory(tmp_path / "back") == (image.root, image.documents)


def test_a_copy_by_digest_into_an_oci_layout(
    images: Images, registry: Registry, repository: str, containers: Containers, tmp_path: Path
) -> None:
    sample = images.sample
    push(containers, sample, registry, repository)
    name = f"docker://{registry.name(repository, sample.root)}"
    containers.skopeo(*PULL, name, f"oci:{tmp_path}/back:kept")
    assert in_layout(tmp_path / "back", "kept") == (sample.root, sample.documents)


@pytest.mark.parametrize(
    ("source", "form", "media_type"),
    [("sample", "v2s2", SCHEMA_2), ("docker_sample", "oci", OCI)],
)
def test_a_copy_converts_between_the_formats(
    source: str,
    form: str,
    media_type: str,
    images: Images,
    registry: Registry,
    repository: str,
    containers: Containers,
    tmp_path: Path,
) -> None:
    image: Image = getattr(images, source)
    name = f"docker://{registry.name(repository)}"
    containers.skopeo(*CONVERT, form, image.source, name)
    answer = registry.wire.get(f"{repository}/manifests/latest")
    assert answer.headers["content-type"] == media_type
    root, documents = registry.wire.closure(repository, "latest")
    assert root != image.root
    containers.skopeo(*PULL, name, f"dir:{tmp_path}/back")
    assert in_directory(tmp_path / "back") == (root, documents)


@pytest.mark.parametrize("kind", ["index", "docker_index"])
def test_an_index_is_copied_with_all_its_images(
    kind: str,
    images: Images,
    registry: Registry,
    repository: str,
    containers: Containers,
    tmp_path: Path,
) -> None:
    index: Image = getattr(images, kind)
    name = push(containers, index, registry, repository, "--all")
    assert registry.wire.closure(repository, "latest") == (index.root, index.documents)
    containers.skopeo(*PULL, "--all", name, f"dir:{tmp_path}/back")
    assert in_directory(tmp_path / "back") == (index.root, index.documents)


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_one_platform_of_an_index_is_picked(
    architecture: str,
    images: Images,
    registry: Registry,
    repository: str,
    containers: Containers,
    tmp_path: Path,
) -> None:
    index = images.index
    name = push(containers, index, registry, repository, "--all")
    containers.skopeo("--override-arch", architecture, *PULL, name, f"dir:{tmp_path}/back")
    (child,) = [
        entry["digest"]
        for entry in json.loads(index.documents[index.root])["manifests"]
        if entry["platform"]["architecture"] == architecture
    ]
    assert in_directory(tmp_path / "back")[0] == child


def test_inspect_shows_digest_tags_labels_and_config(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    name = push(containers, images.sample, registry, repository)
    shown = containers.skopeo("inspect", "--tls-verify=false", name).json()
    assert shown["Digest"] == images.sample.root
    assert shown["RepoTags"] == ["latest"]
    assert shown["Labels"]["sample"] == "sample"
    raw = containers.skopeo("inspect", "--tls-verify=false", "--raw", name).out
    assert raw.encode() == images.sample.documents[images.sample.root]
    config = containers.skopeo("inspect", "--tls-verify=false", "--config", name).json()
    assert config["architecture"] == "amd64"


@pytest.mark.ours_only
def test_tags_are_listed_in_order(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    tags = ["1.0", "1.0-rc1", "B", "a", "latest"]
    for tag in reversed(tags):
        target = f"docker://{registry.name(repository, tag)}"
        containers.skopeo(*PUSH, images.sample.source, target)
    source = f"docker://{registry.host}/{repository}"
    assert containers.skopeo("list-tags", "--tls-verify=false", source).json()["Tags"] == tags


def test_delete_removes_the_image_and_its_tags_at_once(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    name = push(containers, images.sample, registry, repository)
    containers.skopeo("delete", "--tls-verify=false", name)
    refused = containers.skopeo("inspect", "--tls-verify=false", name, fails=True)
    assert "manifest unknown" in refused.text
    assert registry.wire.get(f"{repository}/manifests/{images.sample.root}").status == 404


def test_a_deleted_image_can_be_pushed_again(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    sample = images.sample
    name = push(containers, sample, registry, repository)
    containers.skopeo("delete", "--tls-verify=false", name)
    push(containers, sample, registry, repository)
    assert registry.wire.closure(repository, "latest") == (sample.root, sample.documents)


def test_sync_carries_every_tag_of_a_repository(
    images: Images, registry: Registry, repository: str, containers: Containers, tmp_path: Path
) -> None:
    for tag, image in (("one", images.sample), ("two", images.sibling)):
        target = f"docker://{registry.name(repository, tag)}"
        containers.skopeo(*PUSH, image.source, target)
    out = (
        "sync",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--src",
        "docker",
        "--dest",
        "dir",
    )
    folder = tmp_path / "tags"
    containers.skopeo(*out, f"{registry.host}/{repository}", folder)
    assert in_directory(folder / f"{repository}:one")[0] == images.sample.root
    back = (
        "sync",
        "--preserve-digests",
        "--dest-tls-verify=false",
        "--src",
        "dir",
        "--dest",
        "docker",
    )
    containers.skopeo(*back, folder, f"{registry.host}/copies")
    copies = f"copies/{repository}"
    assert registry.wire.tags(copies) == ["one", "two"]
    assert registry.wire.closure(copies, "two") == (images.sibling.root, images.sibling.documents)


def test_what_is_there_already_is_not_sent_again(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    name = push(containers, images.sample, registry, repository)
    again = containers.skopeo("--debug", *PUSH, images.sample.source, name)
    assert again.text.count("(already present)") == 4
    assert " POST " not in again.text


def test_search_finds_a_repository(
    images: Images, registry: Registry, repository: str, containers: Containers
) -> None:
    push(containers, images.sample, registry, repository)
    words = ("search", "--tls-verify=false", "--format", "{{.Name}}")
    found = containers.podman(*words, f"{registry.host}/{repository}").out.split()
    assert f"{registry.host}/{repository}" in found
