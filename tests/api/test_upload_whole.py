"""Pushing a blob in one piece (spec, "Pushing a blob monolithically")."""

from __future__ import annotations

import pytest

from .client import Client, with_query
from .content import OCTETS, blob, digest_of
from .marks import every_hashing, ours

pytestmark = every_hashing


def test_post_opens_an_upload(client: Client, repo: str) -> None:
    answer = client.post(f"/v2/{repo}/blobs/uploads/")
    assert answer.status == 202
    assert answer.header("Content-Length") == "0"
    assert answer.header("Range") == "0-0"
    identity = answer.header("Docker-Upload-UUID")
    assert identity
    assert answer.location.partition("?")[0] == f"/v2/{repo}/blobs/uploads/{identity}"


@ours
def test_locations_are_relative_and_ids_are_32_hex_digits(client: Client, repo: str) -> None:
    answer = client.post(f"/v2/{repo}/blobs/uploads/")
    identity = answer.header("Docker-Upload-UUID") or ""
    assert len(identity) == 32
    int(identity, 16)
    assert answer.header("Location") == f"/v2/{repo}/blobs/uploads/{identity}"


@ours
def test_no_chunk_is_too_small_for_a_directory(client: Client, repo: str) -> None:
    """Only stores that need it announce a smallest chunk."""
    answer = client.post(f"/v2/{repo}/blobs/uploads/")
    assert answer.header("OCI-Chunk-Min-Length") is None


@pytest.mark.parametrize("content_type", ["application/json", "text/plain; charset=x", ""])
def test_what_content_type_a_post_has_does_not_matter(
    client: Client, repo: str, content_type: str
) -> None:
    answer = client.post(f"/v2/{repo}/blobs/uploads/", Content_Type=content_type)
    assert answer.status == 202


@ours
def test_the_slash_behind_uploads_may_be_missing(client: Client, repo: str) -> None:
    answer = client.post(f"/v2/{repo}/blobs/uploads")
    assert answer.status == 202
    data = b"no trailing slash"
    assert client.put(with_query(answer.location, digest=digest_of(data)), data).status == 201


@pytest.mark.parametrize("size", [1, 100, 65_535, 65_536, 65_537, 1_000_003, 8 * 1024 * 1024 + 1])
def test_post_then_put(client: Client, repo: str, size: int) -> None:
    data = blob(size)
    digest = digest_of(data)
    location = client.start_upload(repo)
    answer = client.put(with_query(location, digest=digest), data, Content_Type=OCTETS)
    assert answer.status == 201
    assert answer.location == f"/v2/{repo}/blobs/{digest}"
    assert answer.header("Docker-Content-Digest") == digest
    assert client.get(answer.location).body == data


def test_put_in_http_chunks_without_a_length(client: Client, repo: str) -> None:
    data = blob(300_000)
    location = client.start_upload(repo)
    pieces = (data[at : at + 7001] for at in range(0, len(data), 7001))
    assert client.put(with_query(location, digest=digest_of(data)), pieces).status == 201
    assert client.get(f"/v2/{repo}/blobs/{digest_of(data)}").body == data


@ours
@pytest.mark.parametrize("size", [0, 1, 70_000, 9_000_000])
def test_a_single_post(client: Client, repo: str, size: int) -> None:
    data = blob(size, "single post")
    digest = digest_of(data)
    answer = client.post(f"/v2/{repo}/blobs/uploads/?digest={digest}", data, Content_Type=OCTETS)
    assert answer.status == 201
    assert answer.location == f"/v2/{repo}/blobs/{digest}"
    assert answer.header("Docker-Content-Digest") == digest
    assert client.get(answer.location).body == data


@ours
def test_a_single_post_in_http_chunks(client: Client, repo: str) -> None:
    data = blob(200_000, "single post, chunked")
    answer = client.post(
        f"/v2/{repo}/blobs/uploads/?digest={digest_of(data)}", iter([data[:7], data[7:]])
    )
    assert answer.status == 201
    assert client.get(answer.location).body == data


@ours
def test_a_single_post_with_other_bytes_is_refused(client: Client, repo: str) -> None:
    digest = digest_of(b"promised")
    answer = client.post(f"/v2/{repo}/blobs/uploads/?digest={digest}", b"delivered")
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]
    assert client.head(f"/v2/{repo}/blobs/{digest}").status == 404
    assert client.head(f"/v2/{repo}/blobs/{digest_of(b'delivered')}").status == 404


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_empty_blob(client: Client, repo: str, algorithm: str) -> None:
    digest = client.push_blob(repo, b"", algorithm)
    answer = client.get(f"/v2/{repo}/blobs/{digest}")
    assert answer.status == 200
    assert answer.header("Content-Length") == "0"
    assert answer.body == b""


def test_what_two_repositories_push_is_one_blob_for_each_of_them(
    client: Client, repo: str, other_repo: str
) -> None:
    data = blob(5000, "pushed twice")
    digest = client.push_blob(repo, data)
    assert client.head(f"/v2/{other_repo}/blobs/{digest}").status == 404
    assert client.push_blob(other_repo, data) == digest
    for name in (repo, other_repo):
        assert client.get(f"/v2/{name}/blobs/{digest}").body == data


def test_a_blob_that_is_there_can_be_pushed_again(client: Client, repo: str) -> None:
    data = blob(5000, "pushed again")
    assert client.push_blob(repo, data) == client.push_blob(repo, data)


def test_a_client_that_goes_away_in_the_middle_leaves_no_blob(client: Client, repo: str) -> None:
    data = blob(100_000, "cut short")
    target = with_query(client.start_upload(repo), digest=digest_of(data))
    broken = client.another()
    broken.begin("PUT", target, data[:50_000], announced=len(data))
    broken.close()
    for digest in (digest_of(data), digest_of(data[:50_000])):
        assert client.head(f"/v2/{repo}/blobs/{digest}").status == 404
    assert client.push_blob(repo, data) == digest_of(data)
