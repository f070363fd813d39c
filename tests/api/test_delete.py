"""Deleting tags, manifests and blobs (spec, "Content Management"): gone at once, or refused."""

from __future__ import annotations

import pytest

from .client import Client
from .content import ABSENT, artifact, blob, digest_of, image, index
from .marks import every_catalog, ours

pytestmark = every_catalog


def test_deleting_a_tag_leaves_the_manifest(client: Client, repo: str) -> None:
    pushed = image("tag deleted")
    pushed.push(client, repo, "gone")
    pushed.push(client, repo, "stays")
    answer = client.delete(f"/v2/{repo}/manifests/gone")
    assert answer.status == 202
    assert client.get(f"/v2/{repo}/manifests/gone").status == 404
    assert client.get(f"/v2/{repo}/manifests/stays").status == 200
    assert client.get(f"/v2/{repo}/manifests/{pushed.digest}").status == 200
    assert client.get(f"/v2/{repo}/tags/list").json()["tags"] == ["stays"]
    assert client.delete(f"/v2/{repo}/manifests/gone").status == 404


def test_deleting_a_manifest_takes_its_tags_with_it(client: Client, repo: str) -> None:
    pushed = image("manifest deleted")
    other = image("manifest kept")
    for tag in ("one", "two"):
        pushed.push(client, repo, tag)
    other.push(client, repo, "three")
    assert client.delete(f"/v2/{repo}/manifests/{pushed.digest}").status == 202
    for reference in ("one", "two", pushed.digest):
        for method in ("GET", "HEAD"):
            assert client.request(method, f"/v2/{repo}/manifests/{reference}").status == 404
    assert client.get(f"/v2/{repo}/tags/list").json()["tags"] == ["three"]
    answer = client.delete(f"/v2/{repo}/manifests/{pushed.digest}")
    assert answer.status == 404
    assert answer.codes == ["MANIFEST_UNKNOWN"]


def test_deleting_a_blob(client: Client, repo: str, other_repo: str) -> None:
    """Gone at once from this repository, and from this one only."""
    data = blob(2000, "deleted")
    digest = client.push_blob(repo, data)
    client.push_blob(other_repo, data)
    assert client.delete(f"/v2/{repo}/blobs/{digest}").status == 202
    for method in ("GET", "HEAD"):
        assert client.request(method, f"/v2/{repo}/blobs/{digest}").status == 404
    assert client.get(f"/v2/{other_repo}/blobs/{digest}").body == data
    for method in ("GET", "HEAD"):
        assert client.request(method, f"/v2/{repo}/blobs/{digest}").status == 404
    answer = client.delete(f"/v2/{repo}/blobs/{digest}")
    assert answer.status == 404
    assert answer.codes == ["BLOB_UNKNOWN"]


def test_what_was_deleted_can_be_pushed_again(client: Client, repo: str) -> None:
    pushed = image("deleted and pushed again")
    for _ in range(3):
        pushed.push(client, repo, "v1")
        assert client.get(f"/v2/{repo}/manifests/v1").body == pushed.manifest
        assert client.delete(f"/v2/{repo}/manifests/{pushed.digest}").status == 202
        for data in pushed.blobs:
            assert client.delete(f"/v2/{repo}/blobs/{digest_of(data)}").status == 202
            assert client.head(f"/v2/{repo}/blobs/{digest_of(data)}").status == 404


@pytest.mark.parametrize("what", ["blobs/" + ABSENT, "manifests/" + ABSENT, "manifests/absent"])
def test_deleting_what_is_not_there(client: Client, repo: str, what: str) -> None:
    assert client.delete(f"/v2/{repo}/{what}").status == 404
    client.push_blob(repo, b"so that the repository exists")
    answer = client.delete(f"/v2/{repo}/{what}")
    assert answer.status == 404
    assert answer.codes == ["BLOB_UNKNOWN" if "blobs" in what else "MANIFEST_UNKNOWN"]


@ours
def test_a_blob_of_an_image_is_in_use(client: Client, repo: str) -> None:
    pushed = image("in use", layers=2)
    pushed.push(client, repo)
    for data in pushed.blobs:
        answer = client.delete(f"/v2/{repo}/blobs/{digest_of(data)}")
        assert answer.status == 409
        assert answer.codes == ["DENIED"]
        assert f"in use by {pushed.digest}" in answer.messages
        assert client.get(f"/v2/{repo}/blobs/{digest_of(data)}").body == data


@ours
def test_a_manifest_of_an_index_is_in_use(client: Client, repo: str) -> None:
    child = image("child in use")
    child.push(client, repo, "child")
    parent = index([child.descriptor()])
    parent.push(client, repo, "parent")
    answer = client.delete(f"/v2/{repo}/manifests/{child.digest}")
    assert answer.status == 409
    assert answer.codes == ["DENIED"]
    assert f"in use by {parent.digest}" in answer.messages
    assert client.get(f"/v2/{repo}/manifests/child").status == 200
    assert client.delete(f"/v2/{repo}/manifests/child").status == 202
    assert client.delete(f"/v2/{repo}/manifests/{parent.digest}").status == 202
    assert client.delete(f"/v2/{repo}/manifests/{child.digest}").status == 202


@ours
def test_a_subject_is_not_in_use(client: Client, repo: str) -> None:
    """Referrers name their subject, but do not hold it."""
    subject = image("subject deleted")
    subject.push(client, repo)
    referrer = artifact("left behind", subject=subject.descriptor())
    referrer.push(client, repo)
    assert client.delete(f"/v2/{repo}/manifests/{subject.digest}").status == 202
    assert client.get(f"/v2/{repo}/manifests/{referrer.digest}").status == 200


@ours
def test_a_delete_by_sha512(client: Client, repo: str) -> None:
    pushed = image("sha512 deleted")
    pushed.push_blobs(client, repo)
    digest = digest_of(pushed.manifest, "sha512")
    assert client.put_manifest(repo, f"{digest}?tag=v1", pushed.manifest).status == 201
    assert client.delete(f"/v2/{repo}/manifests/{digest}").status == 202
    assert client.get(f"/v2/{repo}/manifests/v1").status == 404
