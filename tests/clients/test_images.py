"""The images that the other tests rely on are what they say."""

from __future__ import annotations

import json
from pathlib import Path

from tests.clients.content import layers_fit_the_config
from tests.clients.images import Images, build
from tests.services.clients import debian_packages


def test_the_sample_has_four_layers_of_a_few_megabytes(images: Images) -> None:
    sample = images.sample
    assert len(json.loads(sample.documents[sample.root])["layers"]) == 4
    assert 1_000_000 < sum(map(len, sample.documents.values())) < 20_000_000
    assert layers_fit_the_config(sample.documents, sample.root)


def test_docker_format_holds_the_same_layers(images: Images) -> None:
    docker = images.docker_sample
    manifest = json.loads(docker.documents[docker.root])
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert layers_fit_the_config(docker.documents, docker.root)


def test_the_sibling_shares_three_layers(images: Images) -> None:
    both = images.sample.documents.keys() & images.sibling.documents.keys()
    assert len(both) == 3


def test_the_indexes_name_two_platforms(images: Images) -> None:
    for image in (images.index, images.docker_index):
        children = json.loads(image.documents[image.root])["manifests"]
        assert [child["platform"]["architecture"] for child in children] == ["amd64", "arm64"]


def test_the_images_are_the_same_every_time(images: Images, tmp_path: Path) -> None:
    again = build(tmp_path / "again", debian_packages())
    assert again.sample.documents == images.sample.documents
    assert again.docker_index.documents == images.docker_index.documents
