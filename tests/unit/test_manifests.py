"""Reading manifests: what is accepted, what is refused and why, and what they refer to."""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_storage import media_types
from registry_storage.digest import Digest
from registry_storage.errors import ManifestInvalid
from registry_storage.manifests import MAX_DEPTH, ManifestRules, ParsedManifest, parse_manifest

CONFIG = Digest.of(b"config")
LAYER = Digest.of(b"layer")
CHILD = Digest.of(b"child")


def descriptor(digest: str = LAYER, size: Any = 5, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_types.OCI_LAYER, "digest": digest, "size": size, **more}


def image(**changes: Any) -> dict[str, Any]:
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(CONFIG, 6, mediaType=media_types.OCI_CONFIG),
        "layers": [descriptor()],
    }
    return document | changes


def index(**changes: Any) -> dict[str, Any]:
    child = descriptor(CHILD, mediaType=media_types.OCI_MANIFEST)
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [child]}
    return document | changes


def parse(document: Any, content_type: str | None = None, **rules: Any) -> ParsedManifest:
    return parse_manifest(json.dumps(document).encode(), content_type, ManifestRules(**rules))


def digests(descriptors: Any) -> list[str]:
    return [each.digest for each in descriptors]


def test_an_image_names_its_config_and_layers() -> None:
    parsed = parse(image(), media_types.OCI_MANIFEST + "; charset=utf-8")
    assert parsed.media_type == media_types.OCI_MANIFEST
    assert digests(parsed.blobs) == [CONFIG, LAYER]
    assert parsed.artifact_type == media_types.OCI_CONFIG


def test_an_index_names_its_children() -> None:
    assert digests(parse(index()).children) == [CHILD]


def test_the_type_comes_from_the_document_where_the_client_sends_none() -> None:
    assert parse(index()).media_type == media_types.OCI_INDEX
    bare = image()
    del bare["mediaType"]
    assert parse(bare).media_type == media_types.OCI_MANIFEST


def test_unknown_types_are_accepted_and_what_they_name_is_kept() -> None:
    document = {"config": descriptor(CONFIG), "layers": [descriptor()], "x": {"y": [1]}}
    parsed = parse(document, "application/vnd.example+json")
    assert parsed.media_type == "application/vnd.example+json"
    assert digests(parsed.blobs) == [CONFIG, LAYER]


def test_an_artifact_has_its_own_type_subject_and_annotations() -> None:
    subject = descriptor(CHILD, mediaType=media_types.OCI_MANIFEST)
    parsed = parse(image(artifactType="x/y", subject=subject, annotations={"a": "b"}))
    assert parsed.subject is not None
    assert parsed.subject.digest == CHILD
    assert (parsed.artifact_type, parsed.annotations) == ("x/y", {"a": "b"})


def test_layers_kept_elsewhere_are_optional() -> None:
    foreign = descriptor(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    elsewhere = descriptor(Digest.of(b"2"), urls=["https://example.com/layer"])
    parsed = parse(image(layers=[foreign, elsewhere]))
    assert digests(parsed.optional_blobs) == [LAYER, Digest.of(b"2")]


def test_data_that_the_descriptor_carries_needs_no_blob() -> None:
    carried = descriptor(Digest.of(b"{}"), 2, data=base64.b64encode(b"{}").decode())
    assert digests(parse(image(config=carried)).optional_blobs) == [Digest.of(b"{}")]


@pytest.mark.parametrize("data", ["e30", "!", 5, base64.b64encode(b"[]").decode()])
def test_data_that_is_not_the_content_is_refused(data: Any) -> None:
    with pytest.raises(ManifestInvalid, match=r"config\.data"):
        parse(image(config=descriptor(Digest.of(b"{}"), 2, data=data)))


def test_children_of_other_platforms_may_be_absent_by_rule() -> None:
    platform = {"architecture": "arm64", "os": "linux"}
    children = [descriptor(CHILD), descriptor(LAYER, platform=platform)]
    parsed = parse(index(manifests=children), required_platforms=[("arm64", "linux")])
    assert digests(parsed.children) == [LAYER]
    assert digests(parsed.optional_children) == [CHILD]


def test_without_checks_every_reference_is_optional() -> None:
    parsed = parse(image(), check_references=False)
    assert parsed.blobs == ()
    assert digests(parsed.optional_blobs) == [CONFIG, LAYER]


REFUSED = {
    "both an image and an index": (image(manifests=[]), "not both"),
    "neither": ({"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST}, "needs config"),
    "no layers": (image(layers=None), "needs layers"),
    "no children": (index(manifests=None), "needs manifests"),
    "schema 1": ({"schemaVersion": 1, "mediaType": min(media_types.SCHEMA_1)}, "schema 1"),
    "wrong version": (image(schemaVersion=1), "schemaVersion"),
    "version that is true": (image(schemaVersion=True), "schemaVersion"),
    "misspelled field": (image(Layers=[]), "must be spelled 'layers'"),
    "misspelled in a descriptor": (image(layers=[descriptor(Size=1)]), "spelled 'size'"),
    "negative size": (image(layers=[descriptor(size=-1)]), r"layers\[0\]\.size"),
    "size of text": (image(layers=[descriptor(size="5")]), r"layers\[0\]\.size"),
    "size of float": (image(layers=[descriptor(size=5.0)]), r"layers\[0\]\.size"),
    "size of bool": (image(layers=[descriptor(size=True)]), r"layers\[0\]\.size"),
    "size past 63 bits": (image(layers=[descriptor(size=2**63)]), r"layers\[0\]\.size"),
    "no digest": (image(layers=[{"mediaType": "a/b", "size": 1}]), r"layers\[0\]\.digest"),
    "bad digest": (image(layers=[descriptor("sha256:x")]), r"layers\[0\]\.digest"),
    "no media type": (image(layers=[descriptor(mediaType="")]), r"layers\[0\]\.mediaType"),
    "layers not a list": (image(layers={}), "layers must be a list"),
    "layer not an object": (image(layers=[1]), r"layers\[0\] must be an object"),
    "too many": (image(layers=[descriptor()] * 1001), "1000 are allowed"),
    "annotations of numbers": (image(annotations={"a": 1}), "annotations"),
    "long annotations of a referrer": (
        image(subject=descriptor(CHILD), annotations={"a": "x" * 70_000}),
        "annotations .* are longer",
    ),
    "platform of text": (index(manifests=[descriptor(platform="x")]), "platform"),
    "nested": (image(x=json.loads("[" * 40 + "]" * 40)), f"more than {MAX_DEPTH} levels"),
    "media type with a line break": (image(mediaType="a/b\nc"), "mediaType"),
    "artifact type of text with a NUL": (image(artifactType="a/\0"), "artifactType"),
}


def test_annotations_may_be_as_long_as_the_manifest_may() -> None:
    annotations = {f"{n}": "x" * 10_000 for n in range(390)}
    assert parse(image(annotations=annotations)).annotations == annotations


@pytest.mark.parametrize(("document", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_manifest_is_refused_with_the_reason(document: Any, reason: str) -> None:
    with pytest.raises(ManifestInvalid, match=reason):
        parse(document)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.com/x", "http://127.0.0.1/", "http://[::1]/", "x"),
        *("http://localhost/", "http://a.localhost/", "http://169.254.169.254/latest", "http://["),
        *("http://10.0.0.1/", "http://2130706433/", "http://127.1/", "http:///x"),
    ],
)
def test_urls_of_files_and_inner_hosts_are_refused(url: str) -> None:
    with pytest.raises(ManifestInvalid, match="urls"):
        parse(image(layers=[descriptor(urls=[url])]))


def test_urls_follow_the_configured_patterns() -> None:
    document = image(layers=[descriptor(urls=["http://mirror.internal/x"])])
    allowed = re.compile("^http://mirror")
    assert parse(document, allowed_urls=allowed).optional_blobs
    with pytest.raises(ManifestInvalid, match="urls"):
        parse(document, allowed_urls=allowed, denied_urls=re.compile("internal"))


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"[]", b"null", b"{", b"{} x", b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16")),
        *(b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e400}', b'{"a":' + b"[" * 200_000, b"\xff"),
    ],
)
def test_what_is_not_one_plain_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(payload, "application/vnd.example+json")


def test_a_content_type_that_differs_from_the_document_is_refused() -> None:
    with pytest.raises(ManifestInvalid, match="Content-Type"):
        parse(image(), media_types.OCI_INDEX)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["config", "layers", "manifests", "subject", "digest", "size", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_document_is_understood_or_refused_never_a_crash(document: Any) -> None:
    with suppress(ManifestInvalid):
        assert parse(document, "application/vnd.example+json").media_type
