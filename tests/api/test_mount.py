"""Mounting a blob from another repository (spec, "Mounting a blob from another repository")."""

from __future__ import annotations

import pytest

from .client import Answer, Client, with_query
from .content import ABSENT, blob, digest_of, image
from .marks import ours


def assert_falls_back(client: Client, repo: str, answer: Answer) -> None:
    """A mount that cannot be is an upload like any other, and one that works."""
    assert answer.status == 202
    assert answer.header("Range") == "0-0"
    data = blob(100, "after a refused mount")
    closed = client.put(with_query(answer.location, digest=digest_of(data)), data)
    assert closed.status == 201
    assert client.get(f"/v2/{repo}/blobs/{digest_of(data)}").body == data


@ours
@pytest.mark.parametrize("slash", ["/", ""])
def test_mounting(client: Client, repo: str, other_repo: str, slash: str) -> None:
    data = blob(3000, "mounted")
    digest = client.push_blob(other_repo, data)
    target = f"/v2/{repo}/blobs/uploads{slash}?mount={digest}&from={other_repo}"
    answer = client.post(target)
    assert answer.status == 201
    assert answer.location == f"/v2/{repo}/blobs/{digest}"
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.header("Content-Length") == "0"
    assert client.get(answer.location).body == data
    assert client.post(target).status == 201


@ours
def test_a_mounted_blob_outlives_its_source(client: Client, repo: str, other_repo: str) -> None:
    data = blob(3000, "mounted, then deleted at the source")
    digest = client.push_blob(other_repo, data)
    assert client.post(f"/v2/{repo}/blobs/uploads/?mount={digest}&from={other_repo}").status == 201
    assert client.delete(f"/v2/{other_repo}/blobs/{digest}").status == 202
    assert client.head(f"/v2/{other_repo}/blobs/{digest}").status == 404
    assert client.get(f"/v2/{repo}/blobs/{digest}").body == data


@ours
def test_mounting_without_saying_from_where(client: Client, repo: str, other_repo: str) -> None:
    digest = client.push_blob(other_repo, blob(3000, "mounted anonymously"))
    answer = client.post(f"/v2/{repo}/blobs/uploads/?mount={digest}")
    assert answer.status == 201
    assert client.head(f"/v2/{repo}/blobs/{digest}").status == 200


@ours
def test_mounting_sha512(client: Client, repo: str, other_repo: str) -> None:
    digest = client.push_blob(other_repo, blob(3000, "mounted"), "sha512")
    answer = client.post(f"/v2/{repo}/blobs/uploads/?mount={digest}&from={other_repo}")
    assert answer.status == 201
    assert answer.header("Docker-Content-Digest") == digest


def test_a_blob_that_is_nowhere_cannot_be_mounted(
    client: Client, repo: str, other_repo: str
) -> None:
    client.push_blob(other_repo, b"so that it exists")
    answer = client.post(f"/v2/{repo}/blobs/uploads/?mount={ABSENT}&from={other_repo}")
    assert_falls_back(client, repo, answer)


@ours
def test_a_blob_that_the_named_source_does_not_hold_is_not_mounted(
    client: Client, repo: str, other_repo: str
) -> None:
    digest = client.push_blob(f"{other_repo}/elsewhere", blob(300, "elsewhere"))
    client.push_blob(other_repo, b"so that it exists")
    answer = client.post(f"/v2/{repo}/blobs/uploads/?mount={digest}&from={other_repo}")
    assert_falls_back(client, repo, answer)
    assert client.head(f"/v2/{repo}/blobs/{digest}").status == 404


@pytest.mark.parametrize("source", ["never/existed", "UPPER", "..", "", "a//b"])
def test_a_source_that_is_none_is_no_error(client: Client, repo: str, source: str) -> None:
    answer = client.post(f"/v2/{repo}/blobs/uploads/?mount={ABSENT}&from={source}")
    assert_falls_back(client, repo, answer)


@ours
@pytest.mark.parametrize("digest", ["sha256:abc", "nonsense", "md5:" + "0" * 32])
def test_a_digest_that_is_none_never_mounts(
    client: Client, repo: str, other_repo: str, digest: str
) -> None:
    answer = client.post(f"/v2/{repo}/blobs/uploads/?mount={digest}&from={other_repo}")
    assert answer.status in (202, 400)


@ours
def test_a_manifest_cannot_be_mounted_as_a_blob(client: Client, repo: str, other_repo: str) -> None:
    digest = image("not a blob").push(client, other_repo)
    answer = client.post(f"/v2/{repo}/blobs/uploads/?mount={digest}&from={other_repo}")
    assert answer.status == 202
