"""`GET /v2/_catalog`: the repositories, in pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .client import Client
from .conftest import Serve
from .content import index
from .promises import OURS
from .test_tags import pages

NAMES = sorted(["a", "a-b", "a.b", "a/b", "a/b/c", "ab", "a_b", "b", "z/z", "a0", "a/0"])


@pytest.fixture(scope="module")
def filled(serve: Serve) -> str:
    server = serve()
    client = Client(server.url)
    for name in NAMES[::2] + NAMES[1::2]:
        client.push_manifest(name, index([]).manifest, "v1")
    return server.url


@pytest.fixture
def catalog(filled: str) -> Iterator[Client]:
    client = Client(filled, promises=OURS)
    yield client
    client.close()


def test_all_repositories_in_ascii_order(catalog: Client) -> None:
    answer = catalog.get("/v2/_catalog")
    assert answer.status == 200
    assert answer.header("Content-Type") == "application/json"
    assert answer.json() == {"repositories": NAMES}
    assert answer.header("Link") is None


@pytest.mark.parametrize("n", [1, 2, 3, len(NAMES), 100])
def test_pages_hold_each_repository_once(catalog: Client, n: int) -> None:
    """Names that begin with each other have been lost on the way elsewhere."""
    found = pages(catalog, f"/v2/_catalog?n={n}", "repositories")
    assert [name for page in found for name in page] == NAMES


@pytest.mark.parametrize("last", [*NAMES, "a/", "aa", "no/such"])
def test_a_page_begins_behind_last(catalog: Client, last: str) -> None:
    answer = catalog.get(f"/v2/_catalog?last={last}")
    assert answer.json()["repositories"] == [name for name in NAMES if name > last]


def test_n_of_zero_is_an_empty_list(catalog: Client) -> None:
    answer = catalog.get("/v2/_catalog?n=0")
    assert answer.json() == {"repositories": []}
    assert answer.header("Link") is None


@pytest.mark.parametrize("n", ["1001", "100000", str(2**63)])
def test_a_huge_page_is_no_error(catalog: Client, n: str) -> None:
    """Web interfaces ask for a hundred thousand."""
    assert catalog.get(f"/v2/_catalog?n={n}").json()["repositories"] == NAMES


@pytest.mark.parametrize("n", ["-1", "abc", "1.5", ""])
def test_a_page_size_that_is_none(catalog: Client, n: str) -> None:
    answer = catalog.get(f"/v2/_catalog?n={n}")
    assert answer.status == 400
    assert answer.codes == ["PAGINATION_NUMBER_INVALID"]
