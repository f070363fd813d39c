"""Listing tags (spec, "Listing Tags"): in ASCII order, in pages that neither skip nor repeat."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

import pytest

from .client import Answer, Client
from .content import digest_of, index
from .marks import ours

WEIRD = sorted(
    [
        *("a", "a-b", "a.b", "a_b", "ab", "aB", "a.b.c", "a--b", "A", "Z", "_", "__", "_a"),
        *("0", "00", "01", "1", "10", "2", "latest", "Latest", "v1.0", "v1.0-rc1", "v1.0.0"),
        *("v10", "v2", "x" * 128, "sha256-" + "0" * 64),
    ]
)


def link_target(answer: Answer) -> str | None:
    """Path and query of the next page, as `Link` has it (RFC 8288)."""
    link = answer.header("Link")
    if link is None:
        return None
    found = re.fullmatch(r'<([^>]*)>; ?rel="next"', link)
    assert found, link
    parts = urlsplit(found[1])
    return f"{parts.path}?{parts.query}"


def pages(client: Client, target: str, key: str = "tags") -> list[list[str]]:
    """All pages from `target` on, as the links go."""
    found = []
    next_target: str | None = target
    while next_target is not None:
        answer = client.get(next_target)
        assert answer.status == 200, answer
        found.append(answer.json()[key])
        next_target = link_target(answer)
        assert len(found) < 200, "the links go round"
    return found


def tag_all(client: Client, repo: str, tags: list[str]) -> None:
    for tag in tags:
        assert client.put_manifest(repo, tag, index([]).manifest).status == 201


@pytest.fixture
def weird(client: Client, repo: str) -> str:
    tag_all(client, repo, WEIRD[::2] + WEIRD[1::2])
    return f"/v2/{repo}/tags/list"


def test_all_tags_in_ascii_order(client: Client, repo: str, weird: str) -> None:
    answer = client.get(weird)
    assert answer.status == 200
    assert answer.header("Content-Type") == "application/json"
    assert answer.json() == {"name": repo, "tags": WEIRD}
    assert answer.header("Link") is None
    assert client.head(weird).status == 200


@ours
@pytest.mark.parametrize("n", [1, 2, 3, 7, len(WEIRD) - 1, len(WEIRD), len(WEIRD) + 1])
def test_pages_hold_each_tag_once(client: Client, weird: str, n: int) -> None:
    found = pages(client, f"{weird}?n={n}")
    assert [tag for page in found for tag in page] == WEIRD
    assert all(len(page) == n for page in found[:-1])
    assert found[-1]


@ours
def test_a_page_begins_behind_last_even_where_last_is_no_tag(client: Client, weird: str) -> None:
    for last in [*WEIRD, "!", "~", "aa", "v1.0.", "no-such-tag", "%7E"]:
        plain = last.replace("%7E", "~")
        answer = client.get(f"{weird}?last={last}")
        if plain not in ("!", "~") or answer.status != 400:  # no tag can be like those two
            assert answer.json()["tags"] == [tag for tag in WEIRD if tag > plain], last


@ours
def test_n_of_zero_is_an_empty_list_without_a_link(client: Client, weird: str) -> None:
    answer = client.get(f"{weird}?n=0")
    assert answer.status == 200
    assert answer.json()["tags"] == []
    assert answer.header("Link") is None
    assert client.get(f"{weird}?n=0&last=a").json()["tags"] == []


@ours
@pytest.mark.parametrize("n", ["1000", "1001", "100000", "1000000000", str(2**63), str(10**40)])
def test_a_huge_page_is_no_error(client: Client, weird: str, n: str) -> None:
    assert client.get(f"{weird}?n={n}").json()["tags"] == WEIRD


@ours
@pytest.mark.parametrize("n", ["-1", "abc", "1.5", "", "0x1", "1e3", "+1", "%00", "١", "1_0", " 1"])
def test_a_page_size_that_is_none(client: Client, weird: str, n: str) -> None:
    answer = client.get(f"{weird}?n={_percent(n)}")
    assert answer.status == 400
    assert answer.codes == ["PAGINATION_NUMBER_INVALID"]


@ours
@pytest.mark.parametrize("last", ["%00", "%0d%0aX-Injected:%20yes", "%ff%fe", "..%2f", "x" * 4000])
def test_a_last_that_is_no_tag_does_no_harm(client: Client, weird: str, last: str) -> None:
    answer = client.get(f"{weird}?n=1&last={last}")
    assert answer.status in (200, 400)
    assert answer.header("X-Injected") is None


def _percent(text: str) -> str:
    return text if text.startswith("%") else quote(text)


@ours
def test_links_stay_in_the_repository(client: Client, repo: str, weird: str) -> None:
    link = client.get(f"{weird}?n=2").header("Link")
    assert link == f'<{weird}?n=2&last={WEIRD[1]}>; rel="next"' or link == (
        f'<{weird}?last={WEIRD[1]}&n=2>; rel="next"'
    )


@ours
def test_a_repository_without_tags(client: Client, repo: str) -> None:
    client.push_manifest(repo, index([]).manifest)
    assert client.get(f"/v2/{repo}/tags/list").json() == {"name": repo, "tags": []}


@ours
def test_a_repository_that_lost_its_last_tag(client: Client, repo: str) -> None:
    tag_all(client, repo, ["only"])
    assert client.delete(f"/v2/{repo}/manifests/only").status == 202
    assert client.get(f"/v2/{repo}/tags/list").json()["tags"] == []


def test_the_tags_of_an_absent_repository(client: Client, repo: str) -> None:
    answer = client.get(f"/v2/{repo}/tags/list")
    assert answer.status == 404
    assert answer.codes == ["NAME_UNKNOWN"]


@ours
def test_tags_of_neighbours_are_not_listed(client: Client, repo: str) -> None:
    for name in (repo, f"{repo}/below", f"{repo}-beside", repo[:-1]):
        tag_all(client, name, [f"of-{name.replace('/', '_')[-20:]}"])
    assert len(client.get(f"/v2/{repo}/tags/list").json()["tags"]) == 1


@ours
def test_more_tags_than_a_page_can_hold(client: Client, repo: str) -> None:
    """The list without `n` stops at the server's own limit, with a link to go on."""
    tags = sorted(f"t{number:04}" for number in range(1100))
    body = index([]).manifest
    for at in range(0, len(tags), 10):
        query = "&".join(f"tag={tag}" for tag in tags[at : at + 10])
        assert client.put_manifest(repo, f"{digest_of(body)}?{query}", body).status == 201
    found = pages(client, f"/v2/{repo}/tags/list")
    assert [tag for page in found for tag in page] == tags
    assert len(found) == 2
    first = client.get(f"/v2/{repo}/tags/list?n=5000").json()["tags"]
    assert len(first) == 1000
