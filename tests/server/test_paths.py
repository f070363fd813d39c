"""Every endpoint is found whatever its repository is called, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_server.api.paths import Resource, Target, parse_target
from registry_storage.digest import Digest
from registry_storage.errors import DigestInvalid, InvalidInput, NameInvalid, TagInvalid
from registry_storage.names import is_repository_name

DIGEST = Digest.of(b"")
WORDS = ["a", "b-c", "v2", "blobs", "uploads", "manifests", "tags", "list", "referrers"]
NAMES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map("/".join)
SHAPES = {
    Resource.TAGS: ("/v2/{}/tags/list", [""]),
    Resource.MANIFEST: ("/v2/{}/manifests/{}", [DIGEST, *WORDS]),
    Resource.REFERRERS: ("/v2/{}/referrers/{}", [DIGEST]),
    Resource.BLOB: ("/v2/{}/blobs/{}", [DIGEST]),
    Resource.UPLOADS: ("/v2/{}/blobs/uploads/", [""]),
    Resource.UPLOAD: ("/v2/{}/blobs/uploads/{}", ["0" * 32]),
}


@given(NAMES, st.sampled_from(sorted(SHAPES)), st.data())
def test_names_may_look_like_endpoints(name: str, resource: Resource, data: st.DataObject) -> None:
    shape, references = SHAPES[resource]
    reference = data.draw(st.sampled_from(references))
    found = parse_target(shape.format(name, reference))
    assert found == Target(resource, name, reference)


@given(st.text(alphabet="abA/.%_-:~\0é", max_size=30))
def test_what_is_found_is_in_its_grammar(path: str) -> None:
    try:
        found = parse_target(f"/v2/{path}")
    except InvalidInput:
        return
    if found is not None and found.resource not in (Resource.BASE, Resource.CATALOG):
        assert is_repository_name(found.name)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/v2/a/../b/manifests/x", NameInvalid),
        ("/v2/a%2Fb/manifests/x", NameInvalid),
        ("/v2//manifests/x", NameInvalid),
        ("/v2/manifests/x", NameInvalid),
        ("/v2/UPPER/tags/list", NameInvalid),
        ("/v2/a/manifests/-x", TagInvalid),
        ("/v2/a/manifests/a%0d:x", TagInvalid),
        ("/v2/a/manifests/sha256:00", DigestInvalid),
        ("/v2/a/blobs/sha256:../../etc/passwd", DigestInvalid),
        ("/v2/a/blobs/latest", DigestInvalid),
    ],
)
def test_what_is_outside_the_grammar_says_what(path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_target(path)


@pytest.mark.parametrize("path", ["/v2/a", "/v2/_catalog/", "/v2/a/tags", "/v2/a/other/x", "/v2//"])
def test_what_is_no_endpoint_is_none(path: str) -> None:
    assert parse_target(path) is None


def test_the_query_is_kept_as_it_came() -> None:
    assert parse_target("/v2/_catalog?n=1&last=%00") == Target(
        Resource.CATALOG, query="n=1&last=%00"
    )
