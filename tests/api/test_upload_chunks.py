"""Pushing a blob in pieces (spec, "Pushing a blob in chunks")."""

from __future__ import annotations

import time

import pytest

from .client import Answer, Client, with_query
from .content import OCTETS, blob, digest_of
from .marks import every_hashing, ours

pytestmark = every_hashing


def patch_range(client: Client, location: str, data: bytes, content_range: str) -> Answer:
    return client.patch(location, data, Content_Range=content_range)


def assert_refused(client: Client, answer: Answer, held: int) -> None:
    """Refused with the truth: where the upload is, and what it holds; and it holds that still."""
    assert answer.status == 416, answer
    assert answer.codes == ["BLOB_UPLOAD_INVALID"]
    last = max(held - 1, 0)
    assert answer.header("Range") == f"0-{last}"
    status = client.get(answer.location)
    assert status.status == 204
    assert status.header("Range") == f"0-{last}"


def test_one_stream_without_a_length_then_put(client: Client, repo: str) -> None:
    """What docker, podman and skopeo do."""
    data = blob(1_500_000)
    location = client.start_upload(repo)
    pieces = (data[at : at + 32_768] for at in range(0, len(data), 32_768))
    answer = client.patch(location, pieces)
    assert answer.status == 202
    assert answer.header("Range") == f"0-{len(data) - 1}"
    assert answer.header("Docker-Upload-UUID")
    assert answer.header("Content-Length") == "0"
    answer = client.put(with_query(answer.location, digest=digest_of(data)))
    assert answer.status == 201
    assert client.get(answer.location).body == data


@ours
@pytest.mark.parametrize("form", ["{}-{}", "bytes {}-{}", "bytes {}-{}/*", "bytes={}-{}"])
def test_chunks_with_their_ranges(client: Client, repo: str, form: str) -> None:
    data = blob(250, form)
    location = client.start_upload(repo)
    for start, stop in ((0, 100), (100, 200), (200, 250)):
        answer = patch_range(client, location, data[start:stop], form.format(start, stop - 1))
        assert answer.status == 202, answer
        assert answer.header("Range") == f"0-{stop - 1}"
        location = answer.location
    assert client.put(with_query(location, digest=digest_of(data))).status == 201
    assert client.get(f"/v2/{repo}/blobs/{digest_of(data)}").body == data


@ours
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (70_000, 70_000, 5), (64_000, 64_000, 64_000, 1)])
def test_chunks_without_ranges(
    client: Client, repo: str, algorithm: str, sizes: tuple[int, ...]
) -> None:
    pieces = [blob(size, n) for n, size in enumerate(sizes)]
    location = client.start_upload(repo)
    for piece in pieces:
        answer = client.patch(location, piece)
        assert answer.status == 202
        location = answer.location
    digest = digest_of(b"".join(pieces), algorithm)
    assert client.put(with_query(location, digest=digest)).status == 201
    assert client.get(f"/v2/{repo}/blobs/{digest}").body == b"".join(pieces)


@ours
def test_many_small_chunks(client: Client, repo: str) -> None:
    data = blob(5_000, "many small chunks")
    location = client.start_upload(repo)
    for at in range(0, len(data), 50):
        answer = patch_range(client, location, data[at : at + 50], f"{at}-{at + 49}")
        assert answer.status == 202
        location = answer.location
    assert client.put(with_query(location, digest=digest_of(data))).status == 201
    assert client.get(f"/v2/{repo}/blobs/{digest_of(data)}").body == data


@pytest.mark.parametrize("content_range", [None, "100-149", "bytes 100-149"])
def test_the_last_chunk_in_the_put(client: Client, repo: str, content_range: str | None) -> None:
    data = blob(150, content_range)
    location = client.patch(client.start_upload(repo), data[:100]).location
    fields = {"Content-Type": OCTETS}
    if content_range:
        fields["Content-Range"] = content_range
    target = with_query(location, digest=digest_of(data))
    assert client.request("PUT", target, data[100:], fields).status == 201
    assert client.get(f"/v2/{repo}/blobs/{digest_of(data)}").body == data


@ours
def test_an_empty_chunk_changes_nothing(client: Client, repo: str) -> None:
    location = client.patch(client.start_upload(repo), b"abc").location
    answer = client.patch(location, b"")
    assert answer.status == 202
    assert answer.header("Range") == "0-2"
    assert client.put(with_query(answer.location, digest=digest_of(b"abc"))).status == 201


@ours
@pytest.mark.parametrize(
    ("content_range", "length"),
    [
        ("4-7", 4),  # leaves a gap
        ("0-2", 3),  # the same chunk again
        ("1-4", 4),  # overlaps
        ("0-6", 7),  # overlaps from the beginning
        ("3-1", 3),  # ends before it begins
        ("3-9", 3),  # longer than the body
        ("3-4", 3),  # shorter than the body
        ("3-", 3),
        ("-5", 3),
        ("3", 3),
        ("a-b", 3),
        ("3-5-7", 3),
        ("0x3-0x5", 3),
        ("٣-٥", 3),
        ("+3-+5", 3),
        ("3-5/2", 3),
        ("bytes */6", 3),
        ("99999999999999999999-100000000000000000001", 3),
    ],
)
def test_a_chunk_that_does_not_continue_the_upload_is_refused(
    client: Client, repo: str, content_range: str, length: int
) -> None:
    location = patch_range(client, client.start_upload(repo), b"abc", "0-2").location
    fields = {"Content-Type": OCTETS, "Content-Range": content_range.encode().decode("latin-1")}
    answer = client.request("PATCH", location, b"x" * length, fields)
    assert_refused(client, answer, held=3)
    assert patch_range(client, answer.location, b"def", "3-5").status == 202
    assert client.put(with_query(location, digest=digest_of(b"abcdef"))).status == 201


@ours
@pytest.mark.parametrize("content_range", ["1-3", "5-7"])
def test_the_first_chunk_must_begin_at_zero(client: Client, repo: str, content_range: str) -> None:
    answer = patch_range(client, client.start_upload(repo), b"abc", content_range)
    assert_refused(client, answer, held=0)


@ours
@pytest.mark.parametrize("content_range", ["0-2", "5-7", "3-9", "nonsense"])
def test_a_last_chunk_that_does_not_continue_the_upload_is_refused(
    client: Client, repo: str, content_range: str
) -> None:
    location = client.patch(client.start_upload(repo), b"abc").location
    target = with_query(location, digest=digest_of(b"abcdef"))
    answer = client.put(target, b"def", Content_Range=content_range)
    assert_refused(client, answer, held=3)
    assert client.put(target, b"def", Content_Range="3-5").status == 201


@ours
def test_what_came_before_the_client_went_away_is_kept(client: Client, repo: str) -> None:
    """The status tells where to go on, and the rest completes the blob."""
    data = blob(400_000, "resumed")
    location = client.start_upload(repo)
    broken = client.another()
    broken.begin("PATCH", location, data[:300_000], announced=len(data))
    broken.close()
    answer = _resume(client, location, data)
    assert client.put(with_query(answer.location, digest=digest_of(data))).status == 201
    assert client.get(f"/v2/{repo}/blobs/{digest_of(data)}").body == data


def _resume(client: Client, location: str, data: bytes) -> Answer:
    """Send what is missing, from where the server says, as often as it says otherwise."""
    deadline = time.monotonic() + 10
    while client.get(location).header("Range") == "0-0":
        assert time.monotonic() < deadline, "nothing that came before the break was kept"
        time.sleep(0.02)
    answer = client.get(location)
    while answer.status != 202:
        assert time.monotonic() < deadline, answer
        held = int((answer.header("Range") or "").removeprefix("0-")) + 1
        answer = patch_range(client, location, data[held:], f"{held}-{len(data) - 1}")
    return answer
