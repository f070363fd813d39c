"""Pushing and pulling manifests (spec, "Pushing Manifests" and "Pulling manifests")."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from .client import Client
from .content import (
    ABSENT,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    FOREIGN_LAYER,
    INDEX,
    LAYER,
    MANIFEST,
    MAX_MANIFEST,
    Image,
    artifact,
    blob,
    descriptor,
    digest_of,
    docker_image,
    encode,
    image,
    index,
    padded_manifest,
)
from .marks import every_catalog, ours

pytestmark = every_catalog

NAMED = ("Content-Type", "Content-Length", "Docker-Content-Digest", "ETag")


def test_pushing_by_tag(client: Client, repo: str) -> None:
    pushed = image("by tag")
    pushed.push_blobs(client, repo)
    answer = client.put_manifest(repo, "v1.0", pushed.manifest)
    assert answer.status == 201
    assert answer.location == f"/v2/{repo}/manifests/{pushed.digest}"
    assert answer.header("Docker-Content-Digest") == pushed.digest
    assert answer.header("Content-Length") == "0"
    assert answer.header("OCI-Subject") is None
    for reference in ("v1.0", pushed.digest):
        got = client.get(f"/v2/{repo}/manifests/{reference}")
        assert got.status == 200
        assert got.body == pushed.manifest
        assert got.header("Content-Type") == MANIFEST
        assert got.header("Docker-Content-Digest") == pushed.digest
        assert got.header("ETag") == f'"{pushed.digest}"'


def test_pushing_by_digest_makes_no_tag(client: Client, repo: str) -> None:
    pushed = image("by digest")
    pushed.push(client, repo)
    assert client.get(f"/v2/{repo}/manifests/{pushed.digest}").body == pushed.manifest
    assert not client.get(f"/v2/{repo}/tags/list").json()["tags"]


def test_pushing_the_same_again(client: Client, repo: str) -> None:
    pushed = image("again")
    for _ in range(2):
        pushed.push(client, repo, "v1")
    assert client.get(f"/v2/{repo}/tags/list").json()["tags"] == ["v1"]


def test_a_tag_moves_and_the_old_manifest_stays(client: Client, repo: str) -> None:
    old, new = image("old"), image("new")
    old.push(client, repo, "latest")
    new.push(client, repo, "latest")
    assert client.get(f"/v2/{repo}/manifests/latest").body == new.manifest
    assert client.get(f"/v2/{repo}/manifests/{old.digest}").body == old.manifest


def test_bytes_are_kept_as_they_came(client: Client, repo: str) -> None:
    """Odd spaces, order of keys, escapes, unknown fields: the digest is of all of them."""
    pushed = image("odd bytes")
    pushed.push_blobs(client, repo)
    document = dict(reversed(pushed.document.items())) | {"x-unknown": [None, 1.5e3, {"ключ": "ü"}]}
    odd = b"\n\t " + json.dumps(document, indent=3, ensure_ascii=True).encode() + b" \n\n"
    assert client.put_manifest(repo, "odd", odd, MANIFEST).status == 201
    answer = client.get(f"/v2/{repo}/manifests/odd")
    assert answer.body == odd
    assert answer.header("Docker-Content-Digest") == digest_of(odd)


def test_head_says_what_get_says(client: Client, repo: str) -> None:
    pushed = image("head")
    pushed.push(client, repo, "v1")
    for reference in ("v1", pushed.digest):
        got, headed = (
            client.request(m, f"/v2/{repo}/manifests/{reference}") for m in ("GET", "HEAD")
        )
        assert headed.status == 200
        assert headed.body == b""
        for name in NAMED:
            assert headed.header(name) == got.header(name)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["absent", ABSENT])
def test_an_absent_manifest(client: Client, repo: str, method: str, reference: str) -> None:
    image("present").push(client, repo, "v1")
    answer = client.request(method, f"/v2/{repo}/manifests/{reference}")
    assert answer.status == 404
    if method == "GET":
        assert answer.codes == ["MANIFEST_UNKNOWN"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_manifest_of_an_absent_repository(client: Client, repo: str, method: str) -> None:
    answer = client.request(method, f"/v2/{repo}/manifests/latest")
    assert answer.status == 404
    if method == "GET":
        assert answer.codes[0] in ("NAME_UNKNOWN", "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("quoting", ['"{}"', "{}", 'W/"{}"'])
def test_nothing_is_sent_to_whom_has_it(client: Client, repo: str, quoting: str) -> None:
    digest = image("unchanged").push(client, repo, "v1")
    for method in ("GET", "HEAD"):
        answer = client.request(
            method, f"/v2/{repo}/manifests/v1", headers={"If-None-Match": quoting.format(digest)}
        )
        assert answer.status == 304
        assert answer.body == b""


@ours
@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        DOCKER_MANIFEST,
        INDEX,
        "text/html",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ],
)
def test_accept_never_hides_a_manifest(client: Client, repo: str, accept: str) -> None:
    pushed = image("accept")
    pushed.push(client, repo, "v1")
    answer = client.get(f"/v2/{repo}/manifests/v1", Accept=accept)
    assert answer.status == 200
    assert answer.header("Content-Type") == MANIFEST
    assert answer.body == pushed.manifest


@ours
@pytest.mark.parametrize(
    "content_type",
    [f"{MANIFEST}; charset=utf-8", f"{MANIFEST};x=y", f" {MANIFEST} ", MANIFEST.upper()],
)
def test_parameters_of_the_content_type_are_ignored(
    client: Client, repo: str, content_type: str
) -> None:
    pushed = image("parameters")
    pushed.push_blobs(client, repo)
    assert client.put_manifest(repo, "v1", pushed.manifest, content_type).status == 201
    assert client.get(f"/v2/{repo}/manifests/v1").header("Content-Type") == MANIFEST


@ours
def test_without_a_content_type_the_manifest_says_what_it_is(client: Client, repo: str) -> None:
    pushed = image("no content type")
    pushed.push_blobs(client, repo)
    assert client.put(f"/v2/{repo}/manifests/v1", pushed.manifest).status == 201
    assert client.get(f"/v2/{repo}/manifests/v1").header("Content-Type") == MANIFEST


@ours
def test_without_a_media_type_the_content_type_says_what_it_is(client: Client, repo: str) -> None:
    pushed = image("no media type")
    pushed.push_blobs(client, repo)
    document = {k: v for k, v in pushed.document.items() if k != "mediaType"}
    assert client.put_manifest(repo, "v1", encode(document), MANIFEST).status == 201
    assert client.get(f"/v2/{repo}/manifests/v1").header("Content-Type") == MANIFEST


def test_a_docker_image(client: Client, repo: str) -> None:
    pushed = docker_image()
    pushed.push(client, repo, "v1")
    answer = client.get(f"/v2/{repo}/manifests/v1", Accept=DOCKER_MANIFEST)
    assert answer.header("Content-Type") == DOCKER_MANIFEST
    assert answer.body == pushed.manifest


@pytest.mark.parametrize("media_type", [INDEX, DOCKER_LIST])
def test_an_index_of_images(client: Client, repo: str, media_type: str) -> None:
    children = [docker_image(n) if media_type == DOCKER_LIST else image(n) for n in range(3)]
    for child in children:
        child.push(client, repo)
    platforms = [{"os": "linux", "architecture": name} for name in ("amd64", "arm64", "s390x")]
    pushed = index(
        [c.descriptor(platform=p) for c, p in zip(children, platforms, strict=True)],
        mediaType=media_type,
    )
    pushed.push(client, repo, "multi")
    answer = client.get(f"/v2/{repo}/manifests/multi", Accept=media_type)
    assert answer.header("Content-Type") == media_type
    assert answer.body == pushed.manifest
    for child in children:
        assert client.get(f"/v2/{repo}/manifests/{child.digest}").body == child.manifest


@ours
def test_an_index_of_indexes_and_an_empty_index(client: Client, repo: str) -> None:
    empty = index([])
    empty.push(client, repo, "empty")
    deepest = empty
    for depth in range(30):
        deepest = index([deepest.descriptor()], annotations={"depth": f"{depth}"})
        deepest.push(client, repo)
    assert client.get(f"/v2/{repo}/manifests/{deepest.digest}").body == deepest.manifest


@ours
def test_an_image_without_layers(client: Client, repo: str) -> None:
    image("no layers", layers=0).push(client, repo, "v1")
    assert client.get(f"/v2/{repo}/manifests/v1").status == 200


@ours
def test_artifacts(client: Client, repo: str) -> None:
    artifact("plain").push(client, repo, "plain")
    artifact("typeless config", artifact_type=None).push(client, repo, "typeless")
    for tag in ("plain", "typeless"):
        assert client.get(f"/v2/{repo}/manifests/{tag}").header("Content-Type") == MANIFEST


@ours
def test_media_types_that_nobody_knows_are_accepted(client: Client, repo: str) -> None:
    media_type = "application/vnd.example.thing.v1+json"
    body = encode({"mediaType": media_type, "anything": [1, 2, 3]})
    assert client.put_manifest(repo, "thing", body).status == 201
    answer = client.get(f"/v2/{repo}/manifests/thing")
    assert answer.header("Content-Type") == media_type
    assert answer.body == body


@ours
def test_layers_from_elsewhere_need_no_blob(client: Client, repo: str) -> None:
    url = "https://store.example.com/layer"
    foreign = descriptor(blob(10, "foreign"), FOREIGN_LAYER, urls=[url])
    own = blob(300, "beside a foreign layer")
    base = image("foreign", layers=0)
    layers = [foreign, descriptor(own, LAYER)]
    pushed = Image(base.document | {"layers": layers}, (*base.blobs, own))
    pushed.push(client, repo, "windows")
    assert client.get(f"/v2/{repo}/manifests/windows").body == pushed.manifest


@ours
def test_content_within_a_descriptor_needs_no_blob(client: Client, repo: str) -> None:
    base = image("data field")
    config = b"{}"
    document = base.document | {
        "config": descriptor(
            config, "application/vnd.oci.empty.v1+json", data=b64encode(config).decode()
        ),
    }
    pushed = Image(document, base.blobs[1:])
    pushed.push(client, repo, "data")
    assert client.get(f"/v2/{repo}/manifests/data").body == pushed.manifest


@ours
def test_sha512_by_digest(client: Client, repo: str) -> None:
    pushed = image("sha512 manifest")
    pushed.push_blobs(client, repo)
    digest = digest_of(pushed.manifest, "sha512")
    answer = client.put_manifest(repo, digest, pushed.manifest)
    assert answer.status == 201
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.location == f"/v2/{repo}/manifests/{digest}"
    got = client.get(f"/v2/{repo}/manifests/{digest}")
    assert got.body == pushed.manifest
    assert got.header("Docker-Content-Digest") == digest
    assert got.header("ETag") == f'"{digest}"'
    assert client.head(f"/v2/{repo}/manifests/{pushed.digest}").status == 404


@ours
def test_an_image_all_in_sha512(client: Client, repo: str) -> None:
    config, layer = b'{"os":"linux"}', blob(500, "sha512 layer")
    document = image("x").document | {
        "config": descriptor(
            config, "application/vnd.oci.image.config.v1+json", algorithm="sha512"
        ),
        "layers": [descriptor(layer, LAYER, algorithm="sha512")],
    }
    for data in (config, layer):
        client.push_blob(repo, data, "sha512")
    manifest = encode(document)
    digest = digest_of(manifest, "sha512")
    assert client.put_manifest(repo, f"{digest}?tag=v512", manifest).status == 201
    assert client.get(f"/v2/{repo}/manifests/v512").header("Docker-Content-Digest") == digest


@ours
def test_several_tags_in_one_push(client: Client, repo: str) -> None:
    pushed = image("several tags")
    pushed.push_blobs(client, repo)
    tags = ["v1", "v1.2", "v1.2.3", "latest", *(f"more-{n}" for n in range(6))]
    query = "&".join(f"tag={tag}" for tag in tags)
    answer = client.put_manifest(repo, f"{pushed.digest}?{query}", pushed.manifest)
    assert answer.status == 201
    assert sorted(answer.headers("OCI-Tag")) == sorted(tags)
    assert client.get(f"/v2/{repo}/tags/list").json()["tags"] == sorted(tags)
    for tag in tags:
        assert client.get(f"/v2/{repo}/manifests/{tag}").body == pushed.manifest


@ours
def test_one_bad_tag_of_several_refuses_them_all(client: Client, repo: str) -> None:
    pushed = image("bad tag among several")
    pushed.push_blobs(client, repo)
    answer = client.put_manifest(repo, f"{pushed.digest}?tag=good&tag=-bad", pushed.manifest)
    assert answer.status == 400
    assert answer.codes == ["TAG_INVALID"]
    assert client.head(f"/v2/{repo}/manifests/good").status == 404
    assert client.head(f"/v2/{repo}/manifests/{pushed.digest}").status == 404


@ours
def test_the_same_tag_twice_is_one_tag(client: Client, repo: str) -> None:
    pushed = image("the same tag twice")
    pushed.push_blobs(client, repo)
    answer = client.put_manifest(repo, f"{pushed.digest}?tag=v1&tag=v1", pushed.manifest)
    assert answer.status == 201
    assert set(answer.headers("OCI-Tag")) == {"v1"}
    assert client.get(f"/v2/{repo}/tags/list").json()["tags"] == ["v1"]


def test_a_subject_is_acknowledged(client: Client, repo: str) -> None:
    subject = image("subject")
    subject.push(client, repo)
    referrer = artifact("acknowledged", subject=subject.descriptor())
    referrer.push_blobs(client, repo)
    answer = client.put_manifest(repo, referrer.digest, referrer.manifest)
    assert answer.status == 201
    assert answer.header("OCI-Subject") == subject.digest


@ours
def test_an_index_may_have_a_subject(client: Client, repo: str) -> None:
    subject = image("subject of an index").descriptor()
    answer = client.put_manifest(repo, "v1", index([], subject=subject).manifest)
    assert answer.status == 201
    assert answer.header("OCI-Subject") == subject["digest"]


@ours
@pytest.mark.parametrize("length_known", [True, False])
def test_the_largest_manifest(client: Client, repo: str, length_known: bool) -> None:
    pushed = padded_manifest(MAX_MANIFEST)
    pushed.push_blobs(client, repo)
    body = pushed.manifest if length_known else iter([pushed.manifest])
    answer = client.put(f"/v2/{repo}/manifests/large", body, Content_Type=MANIFEST)
    assert answer.status == 201
    assert client.get(f"/v2/{repo}/manifests/large").body == pushed.manifest


@ours
@pytest.mark.parametrize("length_known", [True, False])
def test_a_manifest_one_byte_larger(client: Client, repo: str, length_known: bool) -> None:
    pushed = padded_manifest(MAX_MANIFEST + 1)
    pushed.push_blobs(client, repo)
    body = pushed.manifest if length_known else iter([pushed.manifest])
    answer = client.put(f"/v2/{repo}/manifests/large", body, Content_Type=MANIFEST)
    assert answer.status == 413
    assert answer.codes == ["SIZE_INVALID"]
    assert client.another().head(f"/v2/{repo}/manifests/{pushed.digest}").status == 404


@ours
def test_a_reader_of_another_type_is_warned(client: Client, repo: str) -> None:
    pushed = image("warned")
    pushed.push(client, repo)
    path = f"/v2/{repo}/manifests/{pushed.digest}"
    warned = client.get(path, Accept="text/html").header("Warning")
    assert warned == f'299 - "the manifest is of type {MANIFEST}, as it was pushed"'
    for accept in (MANIFEST, "*/*", f"text/html, {MANIFEST};q=0.5"):
        assert client.get(path, Accept=accept).header("Warning") is None
