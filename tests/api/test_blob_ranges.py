"""Byte ranges of blobs (RFC 9110, section 14), one or thousands in a request."""

from __future__ import annotations

import re

import pytest

from .client import Answer, Client
from .content import blob
from .marks import ours

DATA = blob(10_000, "ranges")
SIZE = len(DATA)
MOST_RANGES = 2048


@pytest.fixture
def target(client: Client, repo: str) -> str:
    return f"/v2/{repo}/blobs/{client.push_blob(repo, DATA)}"


def parts(answer: Answer) -> list[tuple[str, bytes]]:
    """Content-Range and bytes of each part of a `multipart/byteranges` body, read to its end."""
    content_type = answer.header("Content-Type") or ""
    found = re.fullmatch(r'multipart/byteranges; ?boundary="?([^"]+)"?', content_type)
    assert found, content_type
    boundary = found[1].encode()
    lead, *middle, end = (b"\r\n" + answer.body).split(b"\r\n--" + boundary)
    assert lead == b""
    assert end.strip() == b"--"
    return [_part(text) for text in middle]


def _part(text: bytes) -> tuple[str, bytes]:
    head, _, content = text.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().strip().split("\r\n"))
    return {name.lower(): value for name, value in fields.items()}["content-range"], content


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("0-0", 0, 1),
        ("0-99", 0, 100),
        ("100-199", 100, 200),
        ("9999-9999", 9999, SIZE),
        ("5000-", 5000, SIZE),
        ("0-", 0, SIZE),
        ("-1", SIZE - 1, SIZE),
        ("-100", SIZE - 100, SIZE),
        ("-99999", 0, SIZE),
        ("9000-99999", 9000, SIZE),
    ],
)
def test_one_range(client: Client, target: str, wanted: str, start: int, stop: int) -> None:
    answer = client.get(target, Range=f"bytes={wanted}")
    assert answer.status == 206
    assert answer.body == DATA[start:stop]
    assert answer.header("Content-Range") == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.header("Content-Length") == str(stop - start)
    assert answer.header("Content-Type") == "application/octet-stream"
    assert answer.header("Docker-Content-Digest") == target.rpartition("/")[2]


@pytest.mark.parametrize("wanted", ["10000-", "10000-10001", "99999-", "-0"])
def test_a_range_behind_the_end(client: Client, target: str, wanted: str) -> None:
    answer = client.get(target, Range=f"bytes={wanted}")
    assert answer.status == 416
    assert answer.header("Content-Range") == f"bytes */{SIZE}"


@ours
@pytest.mark.parametrize("wanted", ["0-{}", "{}-", "-{}", "{}-{}"])
@pytest.mark.parametrize("digits", [20, 5000])
def test_numbers_that_no_offset_can_have(
    client: Client, target: str, wanted: str, digits: int
) -> None:
    """Clipped, refused or ignored; too long to be converted at all is no reason to fail."""
    answer = client.get(target, Range="bytes=" + wanted.replace("{}", "9" * digits))
    assert answer.status in (200, 206, 416)
    if answer.status != 416:
        assert answer.body == DATA


@ours
@pytest.mark.parametrize(
    "field",
    [
        "bytes=5-2",
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=1-2;3-4",
        "bytes 0-5",
        "items=0-5",
        "0-5",
        "bytes=0x0-0x5",
        "bytes=1_0-2_0",
    ],
)
def test_a_field_that_is_no_range_is_ignored(client: Client, target: str, field: str) -> None:
    answer = client.get(target, Range=field)
    assert answer.status == 200
    assert answer.body == DATA


@ours
def test_several_ranges(client: Client, target: str) -> None:
    answer = client.get(target, Range="bytes=0-9, 100-199,-5")
    assert answer.status == 206
    assert parts(answer) == [
        (f"bytes 0-9/{SIZE}", DATA[:10]),
        (f"bytes 100-199/{SIZE}", DATA[100:200]),
        (f"bytes {SIZE - 5}-{SIZE - 1}/{SIZE}", DATA[-5:]),
    ]
    assert answer.header("Content-Length") == str(len(answer.body))
    assert answer.header("Content-Range") is None


@ours
def test_of_several_ranges_those_behind_the_end_are_left_out(client: Client, target: str) -> None:
    answer = client.get(target, Range="bytes=0-9,20000-20001,50-59")
    assert answer.status == 206
    assert [content for _, content in parts(answer)] == [DATA[:10], DATA[50:60]]
    answer = client.get(target, Range="bytes=0-9,20000-20001")
    assert answer.status == 206
    assert (answer.header("Content-Range"), answer.body) == (f"bytes 0-9/{SIZE}", DATA[:10])
    assert client.get(target, Range="bytes=20000-,30000-").status == 416


@ours
@pytest.mark.parametrize("count", [1000, MOST_RANGES])
def test_as_many_ranges_as_podman_asks_for(client: Client, target: str, count: int) -> None:
    """For a partial pull of a zstd:chunked layer."""
    wanted = [(4 * n, 4 * n + 1) for n in range(count)]
    answer = client.get(target, Range="bytes=" + ",".join(f"{a}-{b}" for a, b in wanted))
    assert answer.status == 206
    assert parts(answer) == [(f"bytes {a}-{b}/{SIZE}", DATA[a : b + 1]) for a, b in wanted]


@ours
@pytest.mark.parametrize("count", [MOST_RANGES + 1, 10_000])
def test_more_ranges_than_that_get_the_whole_blob(client: Client, target: str, count: int) -> None:
    answer = client.get(target, Range="bytes=" + ",".join(["0-0"] * count))
    assert answer.status == 200
    assert answer.body == DATA


@ours
def test_overlapping_ranges_do_not_multiply_the_blob(client: Client, target: str) -> None:
    """A thousand times the whole blob is no answer that a server should give."""
    answer = client.get(target, Range="bytes=" + ",".join(["0-"] * 1000))
    assert answer.status in (200, 206, 416)
    assert len(answer.body) <= 2 * SIZE


@pytest.mark.parametrize(("etag", "status"), [("{}", 206), ('"sha256:other"', 200)])
def test_a_range_only_of_what_is_known(client: Client, target: str, etag: str, status: int) -> None:
    known = client.head(target).header("ETag") or ""
    answer = client.get(target, Range="bytes=5-9", If_Range=etag.format(known))
    assert answer.status == status
    assert answer.body == (DATA[5:10] if status == 206 else DATA)


@ours
@pytest.mark.parametrize("condition", ["W/{}", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_weak_condition_gets_the_whole_blob(client: Client, target: str, condition: str) -> None:
    known = client.head(target).header("ETag") or ""
    answer = client.get(target, Range="bytes=5-9", If_Range=condition.format(known))
    assert answer.status == 200
    assert answer.body == DATA


@ours
def test_head_ignores_ranges(client: Client, target: str) -> None:
    answer = client.head(target, Range="bytes=0-4")
    assert answer.status == 200
    assert answer.header("Content-Length") == str(SIZE)


@pytest.mark.parametrize("wanted", ["0-0", "-1", "0-"])
def test_the_empty_blob_has_no_ranges(client: Client, repo: str, wanted: str) -> None:
    digest = client.push_blob(repo, b"")
    answer = client.get(f"/v2/{repo}/blobs/{digest}", Range=f"bytes={wanted}")
    assert answer.status in (200, 416)
    if answer.status == 416:
        assert answer.header("Content-Range") == "bytes */0"


@ours
def test_what_has_not_changed_is_not_sent_in_ranges_either(client: Client, target: str) -> None:
    etag = client.head(target).header("ETag") or ""
    answer = client.get(target, Range="bytes=0-4", If_None_Match=etag)
    assert answer.status == 304


@ours
def test_a_large_blob_in_ranges(client: Client, repo: str) -> None:
    data = blob(5_000_000, "large ranges")
    target = f"/v2/{repo}/blobs/{client.push_blob(repo, data)}"
    assert client.get(target, Range="bytes=1000000-3999999").body == data[1_000_000:4_000_000]
    answer = client.get(target, Range="bytes=0-999999,4000000-4999999")
    assert [content for _, content in parts(answer)] == [data[:1_000_000], data[4_000_000:]]
