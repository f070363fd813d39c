"""The grammar of digests, repository names, tags and references."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_storage.digest import Digest, parse_algorithm
from registry_storage.errors import DigestInvalid, NameInvalid, TagInvalid
from registry_storage.names import parse_reference, parse_repository_name, parse_tag

HEX = "0123456789abcdef"


@given(st.binary(), st.sampled_from(["sha256", "sha512"]))
def test_a_digest_is_that_of_hashlib_and_parses_back(data: bytes, algorithm: str) -> None:
    digest = Digest.of(data, algorithm)
    assert digest == f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    assert Digest.parse(str(digest)) == digest
    assert (digest.algorithm, digest.hex) == tuple(digest.split(":"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "sha256", "sha256:", "sha256:" + "a" * 63, "sha256:" + "a" * 65),
        *("sha256:" + "A" * 64, "sha512:" + "a" * 64, "md5:" + "a" * 32, "sha256:../../etc/passwd"),
        *("sha256+b64:" + "a" * 64, "sha256:" + "a" * 64 + "\n", " sha256:" + "a" * 64),
        *("sha256:" + "٣" * 64, "sha384:" + "a" * 96, "SHA256:" + "a" * 64),
    ],
)
def test_what_is_not_a_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid, match="is not a digest"):
        Digest.parse(text)


def test_an_unknown_algorithm_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DigestInvalid, match="sha256, sha512"):
        parse_algorithm("md5")


@pytest.mark.parametrize(
    "name", ["a", "a/b", "a.b", "a_b", "a__b", "a---b", "0", "team/app-1/x.y", "a" * 255]
)
def test_names_of_the_spec_are_accepted(name: str) -> None:
    assert parse_repository_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "A", "a/", "/a", "a//b", "..", "a/../b", "a/.", "-a", "a-", "a__", "a___b", "_a"),
        *("a..b", "a%2fb", "a b", "a\x00", "a\n", "é", "a/_uploads/b", "a" * 256, "a:b", "a@b"),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(NameInvalid, match="is not a repository name"):
        parse_repository_name(name)


@pytest.mark.parametrize("tag", ["latest", "_", "1.0", "V1-x_y.z", "a" * 128])
def test_tags_of_the_spec_are_accepted(tag: str) -> None:
    assert parse_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", ".x", "-x", "a" * 129, "a/b", "a b", "a\n", "ü", "a:b"])
def test_other_tags_are_refused(tag: str) -> None:
    with pytest.raises(TagInvalid, match="is not a tag"):
        parse_tag(tag)


@given(st.text(HEX, min_size=64, max_size=64))
def test_a_reference_with_a_colon_is_a_digest(digits: str) -> None:
    reference = parse_reference(f"sha256:{digits}")
    assert isinstance(reference, Digest)
    assert type(parse_reference(digits)) is str


def test_a_reference_that_only_looks_like_a_digest_is_refused() -> None:
    with pytest.raises(DigestInvalid):
        parse_reference("sha256:abc")
