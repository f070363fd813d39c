"""Pulling blobs whole, and asking whether they are there (spec, "Pulling blobs")."""

from __future__ import annotations

import pytest

from .client import Client
from .content import ABSENT, blob, digest_of, image
from .marks import ours


@pytest.mark.parametrize("size", [1, 4096, 65_537, 3_000_000])
def test_a_blob_comes_back_as_it_went(client: Client, repo: str, size: int) -> None:
    data = blob(size)
    digest = client.push_blob(repo, data)
    answer = client.get(f"/v2/{repo}/blobs/{digest}")
    assert answer.status == 200
    assert answer.body == data
    assert answer.header("Content-Length") == str(size)
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.header("Content-Type") == "application/octet-stream"
    assert answer.header("Accept-Ranges") == "bytes"
    assert answer.header("ETag") == f'"{digest}"'


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_head_says_what_get_says(client: Client, repo: str, size: int) -> None:
    digest = client.push_blob(repo, blob(size))
    got, headed = (client.request(m, f"/v2/{repo}/blobs/{digest}") for m in ("GET", "HEAD"))
    assert headed.status == 200
    assert headed.body == b""
    for name in ("Content-Length", "Docker-Content-Digest", "Content-Type", "ETag"):
        assert headed.header(name) == got.header(name)


def test_blobs_may_be_kept_by_caches(client: Client, repo: str) -> None:
    answer = client.get(f"/v2/{repo}/blobs/{client.push_blob(repo, b'cached')}")
    assert "max-age=31536000" in (answer.header("Cache-Control") or "")


@ours
def test_a_browser_is_kept_from_running_a_blob(client: Client, repo: str) -> None:
    answer = client.get(f"/v2/{repo}/blobs/{client.push_blob(repo, b'<script>')}")
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert "default-src 'none'" in (answer.header("Content-Security-Policy") or "")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_absent_blob(client: Client, repo: str, method: str) -> None:
    client.push_blob(repo, b"so that the repository exists")
    answer = client.request(method, f"/v2/{repo}/blobs/{ABSENT}")
    assert answer.status == 404
    if method == "GET":
        assert answer.codes == ["BLOB_UNKNOWN"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_of_an_absent_repository(client: Client, repo: str, method: str) -> None:
    assert client.request(method, f"/v2/{repo}/blobs/{ABSENT}").status == 404


def test_a_blob_is_only_where_it_was_pushed(client: Client, repo: str, other_repo: str) -> None:
    digest = client.push_blob(repo, blob(1000, "secret"))
    client.push_blob(other_repo, b"so that the repository exists")
    for method in ("GET", "HEAD"):
        assert client.request(method, f"/v2/{other_repo}/blobs/{digest}").status == 404


@ours
def test_a_manifest_is_not_a_blob(client: Client, repo: str) -> None:
    pushed = image("not a blob")
    digest = pushed.push(client, repo, "v1")
    assert client.get(f"/v2/{repo}/blobs/{digest}").status == 404
    assert client.push_blob(repo, pushed.manifest) == digest
    assert client.get(f"/v2/{repo}/blobs/{digest}").body == pushed.manifest


@pytest.mark.parametrize("quoting", ['"{}"', "{}", 'W/"{}"', '"x", "{}"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_is_sent_to_whom_has_it(
    client: Client, repo: str, method: str, quoting: str
) -> None:
    digest = client.push_blob(repo, b"unchanged")
    target = f"/v2/{repo}/blobs/{digest}"
    answer = client.request(method, target, headers={"If-None-Match": quoting.format(digest)})
    assert answer.status == 304
    assert answer.body == b""
    assert answer.header("ETag") == f'"{digest}"'


def test_another_etag_gets_the_blob(client: Client, repo: str) -> None:
    digest = client.push_blob(repo, b"changed")
    answer = client.get(f"/v2/{repo}/blobs/{digest}", If_None_Match=f'"{ABSENT}"')
    assert answer.status == 200
    assert answer.body == b"changed"


def test_blobs_are_sent_as_they_are_whatever_encodings_are_accepted(
    client: Client, repo: str
) -> None:
    data = b"easily compressed " * 1000
    digest = client.push_blob(repo, data)
    answer = client.get(
        f"/v2/{repo}/blobs/{digest}", Accept_Encoding="zstd;q=1.0, gzip;q=0.9, deflate"
    )
    assert answer.header("Content-Encoding") is None
    assert answer.body == data


@ours
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_each_digest_is_a_blob_of_its_own(client: Client, repo: str, algorithm: str) -> None:
    data = blob(100, "digests")
    other = {"sha256": "sha512", "sha512": "sha256"}[algorithm]
    digest = client.push_blob(repo, data, algorithm)
    assert client.get(f"/v2/{repo}/blobs/{digest}").header("Docker-Content-Digest") == digest
    assert client.head(f"/v2/{repo}/blobs/{digest_of(data, other)}").status == 404
