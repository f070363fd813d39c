"""Manifests that no registry should take, each refused with its reason and nothing kept."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import Any

import pytest

from .client import Client
from .content import (
    ABSENT,
    CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    Image,
    Json,
    blob,
    descriptor,
    digest_of,
    encode,
    image,
    index,
)

Unharmed = Callable[..., AbstractContextManager[None]]

GOOD = image("good")
LAYER_OF_GOOD = GOOD.document["layers"][0]


@pytest.fixture
def holder(attacker: Client, repo: str) -> str:
    """A repository that holds the blobs of `GOOD`, so that only the manifest can be at fault."""
    GOOD.push_blobs(attacker, repo)
    return repo


def assert_refused(
    client: Client, repo: str, body: bytes, media_type: str | None, code: str = "MANIFEST_INVALID"
) -> None:
    answer = client.put_manifest(repo, "bad", body, media_type or MANIFEST)
    assert answer.status == 400, answer
    assert set(answer.codes) == {code}, answer
    assert client.head(f"/v2/{repo}/manifests/bad").status == 404
    assert client.head(f"/v2/{repo}/manifests/{digest_of(body)}").status == 404


@pytest.mark.parametrize(
    ("changes", "content_type"),
    [
        ({"manifests": []}, MANIFEST),
        ({"manifests": [GOOD.descriptor()]}, INDEX),
        ({"mediaType": INDEX}, MANIFEST),
        ({"mediaType": MANIFEST}, INDEX),
        ({"config": None, "layers": None}, MANIFEST),
        ({"layers": {}}, MANIFEST),
        ({"layers": "layers"}, MANIFEST),
        ({"layers": [None]}, MANIFEST),
        ({"layers": ["sha256:abc"]}, MANIFEST),
        ({"config": []}, MANIFEST),
        ({"schemaVersion": 1}, MANIFEST),
        ({"schemaVersion": "2"}, MANIFEST),
        ({"mediaType": 7}, MANIFEST),
        ({"subject": "sha256:abc"}, MANIFEST),
        ({"subject": {"mediaType": MANIFEST, "size": 1}}, MANIFEST),
        ({"annotations": []}, MANIFEST),
        ({"annotations": {"a": 1}}, MANIFEST),
        ({"artifactType": 5}, MANIFEST),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_a_document_that_is_not_what_it_says(
    attacker: Client, holder: str, unharmed: Unharmed, changes: Json, content_type: str
) -> None:
    """Both an image and an index, one thing by its header and another by its body, or neither."""
    with unharmed():
        assert_refused(attacker, holder, encode(GOOD.document | changes), content_type)


def test_neither_image_nor_index(attacker: Client, holder: str, unharmed: Unharmed) -> None:
    with unharmed():
        assert_refused(attacker, holder, encode({"schemaVersion": 2}), MANIFEST)
        assert_refused(attacker, holder, encode({"schemaVersion": 2}), INDEX)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{}{}",
        GOOD.manifest + b"x",
        GOOD.manifest + b"\0",
        b"\xef\xbb\xbf" + GOOD.manifest,
        GOOD.manifest.decode().encode("utf-16"),
        GOOD.manifest.decode().encode("utf-32"),
        GOOD.manifest.replace(b'"schemaVersion":2', b'"schemaVersion":NaN'),
        GOOD.manifest.replace(b'"size":256', b'"size":Infinity'),
        GOOD.manifest.replace(b'"size":256', b'"size":1e400'),
        GOOD.manifest.replace(b"{", b'{"layers":[],', 1),
        GOOD.manifest.replace(b"{", b'{"mediaType":"' + INDEX.encode() + b'",', 1),
        GOOD.manifest.replace(b'"digest"', b'"digest":"' + ABSENT.encode() + b'","digest"', 1),
        GOOD.manifest.replace(b'"layers"', b'"Layers":[],"layers"', 1),
        GOOD.manifest.replace(b'"schemaVersion"', b'"\xff":1,"schemaVersion"', 1),
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        GOOD.manifest[:-1] + b',"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        GOOD.manifest[:-1] + b',"long":' + b"9" * 50_000 + b"}",
    ],
    ids=lambda body: body[:12].hex() + f"-{len(body)}",
)
def test_json_that_parsers_read_differently(
    attacker: Client, holder: str, unharmed: Unharmed, body: bytes
) -> None:
    with unharmed():
        assert_refused(attacker, holder, body, MANIFEST)


@pytest.mark.parametrize("size", [-1, 1.5, "256", 2**63, 10**30, None, True, [], 255, 257, 0])
def test_sizes_that_are_none_or_wrong(
    attacker: Client, holder: str, unharmed: Unharmed, size: Any
) -> None:
    layers = [LAYER_OF_GOOD | {"size": size}]
    with unharmed():
        assert_refused(attacker, holder, encode(GOOD.document | {"layers": layers}), MANIFEST)


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:",
        "sha256:abc",
        "sha256:../../../etc/passwd",
        "sha256:" + "G" * 64,
        LAYER_OF_GOOD["digest"].upper(),
        "md5:" + "0" * 32,
        "sha512:" + "0" * 64,
        7,
        None,
    ],
)
def test_descriptors_whose_digest_is_none(
    attacker: Client, holder: str, unharmed: Unharmed, digest: Any
) -> None:
    layers = [LAYER_OF_GOOD | {"digest": digest}]
    body = encode(GOOD.document | {"layers": layers})
    with unharmed():
        answer = attacker.put_manifest(holder, "bad", body, MANIFEST)
        assert answer.status == 400
        assert set(answer.codes) <= {"MANIFEST_INVALID", "DIGEST_INVALID"}
        assert attacker.head(f"/v2/{holder}/manifests/bad").status == 404


def test_more_references_than_anyone_needs(
    attacker: Client, holder: str, unharmed: Unharmed
) -> None:
    """Twenty thousand fit into four megabytes; who walks them all serves nobody else."""
    layers = [LAYER_OF_GOOD] * 20_000
    with unharmed():
        assert_refused(attacker, holder, encode(GOOD.document | {"layers": layers}), MANIFEST)


def test_annotations_that_are_a_blob_in_disguise(
    attacker: Client, holder: str, unharmed: Unharmed
) -> None:
    body = encode(GOOD.document | {"annotations": {"x": "y" * 10_000_000}})
    with unharmed():
        answer = attacker.put_manifest(holder, "bad", body)
        assert answer.status == 413
        assert Client(attacker.url).head(f"/v2/{holder}/manifests/bad").status == 404


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:1", "http://127.0.0.1:{}/"])
def test_urls_of_layers_are_kept_or_refused_but_never_fetched(
    attacker: Client, holder: str, url: str
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as elsewhere:
        elsewhere.setblocking(False)
        urls = [url.format(elsewhere.getsockname()[1])]
        body = encode(GOOD.document | {"layers": [LAYER_OF_GOOD | {"urls": urls}]})
        answer = attacker.put_manifest(holder, "v1", body)
        assert answer.status in (201, 400)
        if answer.status == 201:
            assert attacker.get(f"/v2/{holder}/manifests/v1").body == body
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_blobs_that_nobody_pushed(attacker: Client, repo: str, unharmed: Unharmed) -> None:
    attacker.push_blob(repo, b"so that the repository exists")
    with unharmed():
        answer = attacker.put_manifest(repo, "v1", GOOD.manifest)
        assert answer.status == 400
        assert set(answer.codes) == {"MANIFEST_BLOB_UNKNOWN"}
        named = {error["detail"]["digest"] for error in answer.json()["errors"]}
        assert named == {digest_of(data) for data in GOOD.blobs}
        assert attacker.head(f"/v2/{repo}/manifests/v1").status == 404


def test_blobs_of_another_repository(
    attacker: Client, holder: str, other_repo: str, unharmed: Unharmed
) -> None:
    attacker.push_blob(other_repo, b"so that the repository exists")
    with unharmed():
        answer = attacker.put_manifest(other_repo, "v1", GOOD.manifest)
        assert answer.status == 400
        assert set(answer.codes) == {"MANIFEST_BLOB_UNKNOWN"}


def test_a_config_that_nobody_pushed(attacker: Client, repo: str) -> None:
    layer = blob(100, "only the layer")
    attacker.push_blob(repo, layer)
    document = GOOD.document | {"layers": [descriptor(layer, LAYER)]}
    answer = attacker.put_manifest(repo, "v1", encode(document))
    assert answer.status == 400
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]


def test_an_index_of_what_nobody_pushed(attacker: Client, holder: str, unharmed: Unharmed) -> None:
    """Sparse indexes are refused unless the configuration allows them."""
    with unharmed():
        answer = attacker.put_manifest(holder, "v1", index([GOOD.descriptor()]).manifest)
        assert answer.status == 400
        assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]
        assert answer.json()["errors"][0]["detail"]["digest"] == GOOD.digest


def test_an_index_of_manifests_of_another_repository(
    attacker: Client, repo: str, other_repo: str
) -> None:
    GOOD.push(attacker, repo)
    attacker.push_blob(other_repo, b"so that the repository exists")
    answer = attacker.put_manifest(other_repo, "v1", index([GOOD.descriptor()]).manifest)
    assert answer.status == 400
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_other_bytes_than_the_digest_of_the_url(
    attacker: Client, holder: str, unharmed: Unharmed, algorithm: str
) -> None:
    digest = digest_of(b"other bytes", algorithm)
    with unharmed():
        answer = attacker.put_manifest(holder, digest, GOOD.manifest)
        assert answer.status == 400
        assert answer.codes == ["DIGEST_INVALID"]
        for reference in (digest, GOOD.digest):
            assert attacker.head(f"/v2/{holder}/manifests/{reference}").status == 404


def test_data_that_are_not_what_the_descriptor_says(
    attacker: Client, holder: str, unharmed: Unharmed
) -> None:
    config = descriptor(b"{}", CONFIG, data="b3RoZXI=")
    with unharmed():
        answer = attacker.put_manifest(holder, "v1", encode(GOOD.document | {"config": config}))
        assert answer.status == 400


def test_referrers_in_a_chain_under_one_tag(attacker: Client, holder: str) -> None:
    """No manifest can name its own digest, but by a tag a chain of subjects may seem to close."""
    first = Image(GOOD.document | {"subject": GOOD.descriptor()}, GOOD.blobs)
    first.push(attacker, holder, "chain")
    second = Image(GOOD.document | {"subject": first.descriptor()}, GOOD.blobs)
    second.push(attacker, holder, "chain")
    assert attacker.get(f"/v2/{holder}/referrers/{first.digest}").status == 200
    assert attacker.delete(f"/v2/{holder}/manifests/chain").status == 202


@pytest.mark.parametrize("depth", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_an_index_of_great_depth_can_be_pushed_and_deleted(
    attacker: Client, repo: str, depth: int
) -> None:
    child = index([])
    child.push(attacker, repo)
    for _ in range(depth):
        child = index([child.descriptor()])
        child.push(attacker, repo)
    assert attacker.delete(f"/v2/{repo}/manifests/{child.digest}").status == 202


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_an_encoded_manifest_is_refused(attacker: Client, holder: str, encoding: str) -> None:
    answer = attacker.request(
        "PUT",
        f"/v2/{holder}/manifests/v1",
        GOOD.manifest,
        {"Content-Type": MANIFEST, "Content-Encoding": encoding},
    )
    assert answer.status in (400, 415)
    assert attacker.head(f"/v2/{holder}/manifests/v1").status == 404


def test_an_endless_manifest_is_cut_at_the_limit(
    attacker: Client, holder: str, unharmed: Unharmed
) -> None:
    def endless() -> Any:
        for _ in range(1000):
            yield b" " * 1_000_000

    with unharmed(memory=40_000_000):
        answer = attacker.put(f"/v2/{holder}/manifests/v1", endless(), Content_Type=MANIFEST)
        assert answer.status == 413
        assert answer.codes == ["SIZE_INVALID"]
