"""Status, cancelling and finishing of uploads, and whose they are."""

from __future__ import annotations

import pytest

from .client import Client, with_query
from .content import ABSENT, blob, digest_of
from .marks import every_hashing, ours

pytestmark = every_hashing


def test_status_of_an_upload_that_holds_nothing(client: Client, repo: str) -> None:
    answer = client.get(client.start_upload(repo))
    assert answer.status == 204
    assert answer.header("Range") == "0-0"
    assert answer.header("Docker-Upload-UUID")
    assert answer.location.startswith(f"/v2/{repo}/blobs/uploads/")


def test_status_follows_the_bytes(client: Client, repo: str) -> None:
    location = client.start_upload(repo)
    for size, last in ((10, 9), (90_000, 90_009), (1, 90_010)):
        location = client.patch(location, blob(size)).location
        answer = client.get(location)
        assert answer.status == 204
        assert answer.header("Range") == f"0-{last}"


def test_cancelling(client: Client, repo: str) -> None:
    location = client.patch(client.start_upload(repo), blob(100_000)).location
    assert client.delete(location).status == 204
    for answer in (
        client.get(location),
        client.patch(location, b"more"),
        client.put(with_query(location, digest=digest_of(b"more")), b"more"),
        client.delete(location),
    ):
        assert answer.status == 404
        assert answer.codes == ["BLOB_UPLOAD_UNKNOWN"]


@ours
def test_a_repeated_put_after_success_succeeds(client: Client, repo: str) -> None:
    """The answer to the first may have been lost on the way."""
    data = blob(100_000, "repeated put")
    location = client.patch(client.start_upload(repo), data).location
    target = with_query(location, digest=digest_of(data))
    for _ in range(3):
        answer = client.put(target)
        assert answer.status == 201
        assert answer.location == f"/v2/{repo}/blobs/{digest_of(data)}"
        assert answer.header("Docker-Content-Digest") == digest_of(data)


@ours
def test_a_repeated_put_with_its_body_succeeds(client: Client, repo: str) -> None:
    data = blob(1000, "repeated put with its body")
    target = with_query(client.start_upload(repo), digest=digest_of(data))
    for _ in range(2):
        assert client.put(target, data).status == 201


@ours
def test_a_finished_upload_does_not_pass_for_another_digest(client: Client, repo: str) -> None:
    data = blob(1000, "finished")
    location = client.start_upload(repo)
    assert client.put(with_query(location, digest=digest_of(data)), data).status == 201
    answer = client.put(with_query(location, digest=ABSENT))
    assert answer.status in (400, 404)
    assert client.patch(location, b"more").status in (404, 416)
    assert client.head(f"/v2/{repo}/blobs/{ABSENT}").status == 404
    assert client.get(f"/v2/{repo}/blobs/{digest_of(data)}").body == data


@ours
def test_a_put_without_a_digest_is_refused(client: Client, repo: str) -> None:
    location = client.patch(client.start_upload(repo), b"abc").location
    answer = client.put(location)
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]


@ours
def test_a_put_with_two_digests_is_refused(client: Client, repo: str) -> None:
    location = client.patch(client.start_upload(repo), b"abc").location
    target = with_query(with_query(location, digest=digest_of(b"abc")), digest=ABSENT)
    answer = client.put(target)
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]
    assert client.head(f"/v2/{repo}/blobs/{digest_of(b'abc')}").status == 404


@ours
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_wrong_digest_stores_nothing(client: Client, repo: str, size: int) -> None:
    data = blob(size, "wrong digest")
    location = client.patch(client.start_upload(repo), data).location
    answer = client.put(with_query(location, digest=ABSENT))
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]
    for digest in (ABSENT, digest_of(data)):
        assert client.head(f"/v2/{repo}/blobs/{digest}").status == 404
    status = client.get(location)
    assert status.status in (204, 404)
    again = client.put(with_query(location, digest=digest_of(data)))
    assert again.status == (201 if status.status == 204 else 404)


@ours
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("size", [0, 3, 70_000, 2_000_000])
def test_sha512(client: Client, repo: str, size: int, announced: bool) -> None:
    data = blob(size, f"sha512 {announced}")
    digest = digest_of(data, "sha512")
    algorithm = {"digest-algorithm": "sha512"} if announced else {}
    location = client.start_upload(repo, **algorithm)
    half = size // 2
    location = client.patch(location, data[:half]).location
    answer = client.put(with_query(location, digest=digest), data[half:])
    assert answer.status == 201
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.location == f"/v2/{repo}/blobs/{digest}"
    assert client.get(answer.location).body == data
    assert client.head(f"/v2/{repo}/blobs/{digest_of(data)}").status == 404


@ours
def test_an_announced_algorithm_does_not_bind(client: Client, repo: str) -> None:
    data = blob(70_000, "announced sha512, closed with sha256")
    location = client.start_upload(repo, **{"digest-algorithm": "sha512"})
    location = client.patch(location, data).location
    assert client.put(with_query(location, digest=digest_of(data))).status == 201


@ours
@pytest.mark.parametrize("algorithm", ["sha512", "sha256"])
def test_a_wrong_digest_of_either_algorithm_is_refused(
    client: Client, repo: str, algorithm: str
) -> None:
    location = client.patch(client.start_upload(repo), blob(80_000)).location
    answer = client.put(with_query(location, digest=digest_of(b"other", algorithm)))
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]


@ours
@pytest.mark.parametrize("algorithm", ["md5", "sha1", "blake3", "sha-512", "", "SHA512"])
def test_an_unknown_algorithm_cannot_be_announced(
    client: Client, repo: str, algorithm: str
) -> None:
    answer = client.post(f"/v2/{repo}/blobs/uploads/?digest-algorithm={algorithm}")
    assert answer.status == 400
    assert answer.codes == ["DIGEST_INVALID"]


@ours
def test_an_upload_belongs_to_its_repository(client: Client, repo: str, other_repo: str) -> None:
    location = client.patch(client.start_upload(repo), b"abc").location
    client.push_blob(other_repo, b"so that it exists")
    stolen = location.replace(repo, other_repo)
    for answer in (
        client.get(stolen),
        client.patch(stolen, b"more"),
        client.put(with_query(stolen, digest=digest_of(b"abc"))),
        client.delete(stolen),
    ):
        assert answer.status == 404
        assert answer.codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert client.get(location).header("Range") == "0-2"
    assert client.put(with_query(location, digest=digest_of(b"abc"))).status == 201


@ours
@pytest.mark.parametrize(
    "identity",
    [
        "0" * 32,
        "0" * 31,
        "0" * 33,
        "Z" * 32,
        "../x",
        "..%2fx",
        "%2e%2e",
        "..",
        "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "x" * 3000,
        "%00",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_upload_id_that_was_never_given_out(
    client: Client, repo: str, method: str, identity: str
) -> None:
    target = f"/v2/{repo}/blobs/uploads/{identity}?digest={ABSENT}"
    answer = client.request(method, target, b"abc" if method in ("PATCH", "PUT") else None)
    assert answer.status in (400, 404)


@ours
def test_what_an_upload_may_do_is_not_in_its_url(client: Client, repo: str) -> None:
    """A forged `_state`, as other registries keep it there, changes nothing."""
    location = client.patch(client.start_upload(repo), b"abc").location
    answer = client.get(f"{location}?_state=eyJPZmZzZXQiOjk5fQ")
    assert answer.header("Range") == "0-2"


@ours
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "gzip, gzip"])
def test_an_encoded_body_is_never_decoded(client: Client, repo: str, encoding: str) -> None:
    """Refused, or the bytes of the wire are the blob: decoded bytes would have another digest."""
    data = b"\x1f\x8b not really compressed"
    target = with_query(client.start_upload(repo), digest=digest_of(data))
    answer = client.put(target, data, Content_Encoding=encoding)
    assert answer.status in (201, 415)
    if answer.status == 201:
        assert client.get(answer.location).body == data
