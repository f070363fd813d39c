"""Names of keys in object stores, and listings joined to blobs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_storage.digest import ALGORITHMS, Digest
from registry_storage.drivers._object_layout import (
    FOREIGN_TREE,
    Listed,
    Listing,
    Place,
    is_empty,
    parse_location,
    place_of,
    root_prefix,
    stored_blobs,
)
from registry_storage.drivers.api import BlobKind, Mark, StoredBlob
from registry_storage.errors import BlobNotFound, DriverError

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
ID = "0123456789abcdef" * 2

marks = st.builds(
    lambda kind, data, algorithm: Mark(kind, Digest.of(data, algorithm)),
    st.sampled_from(BlobKind),
    st.binary(max_size=4),
    st.sampled_from(ALGORITHMS),
)
ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
places = st.builds(Place, ids, st.none() | marks)


def mark_of(data: bytes, kind: BlobKind = BlobKind.BLOB) -> Mark:
    return Mark(kind, Digest.of(data))


def listing_of(keys: dict[str, int], times: dict[str, datetime] | None = None) -> Listing:
    """A store's listing of these keys and sizes."""

    def listing(prefix: str) -> Iterator[Listed]:
        for key in sorted(keys):
            if key.startswith(prefix):
                yield Listed(key, keys[key], (times or {}).get(key, NOON))

    return listing


def keys_of(place: Place, size: int) -> dict[str, int]:
    """What lies in the store for a blob of that many bytes."""
    mark = {place.mark_key(size): 0} if place.mark else {}
    return {place.data_key: size, **mark}


@given(places)
def test_a_location_names_its_place(place: Place) -> None:
    assert parse_location(place.location) == place


@given(places)
def test_a_location_begins_with_the_key_of_the_bytes(place: Place) -> None:
    assert place.location.startswith(place.data_key)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "blobs/",
        f"blobs/{ID.upper()}",
        f"blobs/{ID}\n",
        f"/blobs/{ID}",
        f"blobs/{ID}.blob.sha256.{'a' * 63}",
        f"blobs/{ID}.blob.sha512.{'a' * 64}",
        f"blobs/{ID}.blob.md5.{'a' * 32}",
        f"blobs/{ID}.layer.sha256.{'a' * 64}",
        f"blobs/{ID}.blob.sha256.{'a' * 64}.12",
        f"marks/blob/{ID}.sha256.{'a' * 64}.12",
        "docker/registry/v2/blobs/sha256/aa/aa/data",
    ],
)
def test_what_is_not_a_location_is_not_found(location: str) -> None:
    assert place_of(location) is None
    with pytest.raises(BlobNotFound, match="not a location"):
        parse_location(location)


@given(st.dictionaries(ids, st.tuples(st.none() | marks, st.integers(0, 2**60)), max_size=20))
def test_a_listing_tells_what_is_stored(stored: dict[str, tuple[Mark | None, int]]) -> None:
    keys: dict[str, int] = {}
    for blob_id, (mark, size) in stored.items():
        keys |= keys_of(Place(blob_id, mark), size)
    expected = [
        StoredBlob(Place(blob_id, mark).location, size, mark, NOON)
        for blob_id, (mark, size) in sorted(stored.items())
    ]
    assert list(stored_blobs(listing_of(keys), None)) == expected
    for kind in BlobKind:
        of_kind = [blob for blob in expected if blob.mark and blob.mark.kind is kind]
        assert list(stored_blobs(listing_of(keys), kind)) == of_kind


def test_a_kind_is_listed_by_its_marks_alone() -> None:
    asked: list[str] = []

    def listing(prefix: str) -> Iterator[Listed]:
        asked.append(prefix)
        return iter(())

    assert list(stored_blobs(listing, BlobKind.MARKER)) == []
    assert asked == ["marks/marker/"]


def test_a_marked_blob_has_been_stored_when_it_was_marked() -> None:
    place = Place(ID, mark_of(b"x"))
    times = {place.mark_key(1): LATER}
    for kind in (None, BlobKind.BLOB):
        [blob] = stored_blobs(listing_of(keys_of(place, 1), times), kind)
        assert blob.stored_at == LATER


def test_a_blob_with_two_marks_is_listed_once() -> None:
    first, second = Place(ID, mark_of(b"x")), Place(ID, mark_of(b"x", BlobKind.SNAPSHOT))
    keys = keys_of(first, 1) | keys_of(second, 1)
    assert [blob.location for blob in stored_blobs(listing_of(keys), None)] == [first.location]


def test_keys_of_somebody_else_are_left_out() -> None:
    place = Place(ID, mark_of(b"x"))
    strange = ["blobs/notes.txt", f"blobs/{ID}/x", "marks/blob/x", f"marks/blob/{ID}", "uploads/x"]
    keys = keys_of(place, 1) | dict.fromkeys(strange, 7)
    assert [blob.location for blob in stored_blobs(listing_of(keys), None)] == [place.location]


def test_a_listing_out_of_order_is_refused() -> None:
    keys = sorted(f"blobs/{secrets.token_hex(16)}" for _ in range(3))

    def listing(prefix: str) -> Iterator[Listed]:
        return (Listed(key, 1, NOON) for key in reversed(keys) if key.startswith(prefix))

    with pytest.raises(DriverError, match="order of the keys"):
        list(stored_blobs(listing, None))


@given(ids, marks, st.integers(0, 2**60))
def test_the_prefixes_of_a_place_find_its_marks(blob_id: str, mark: Mark, size: int) -> None:
    key = Place(blob_id, mark).mark_key(size)
    assert [prefix for prefix in Place(blob_id, mark).mark_prefixes() if key.startswith(prefix)]
    found = [prefix for prefix in Place(blob_id, None).mark_prefixes() if key.startswith(prefix)]
    assert len(found) == 1


def test_a_tree_of_distribution_is_told_from_an_empty_root() -> None:
    tree = listing_of({"docker/registry/v2/blobs/sha256/aa/aa/data": 3})
    assert not is_empty(tree, FOREIGN_TREE)
    assert is_empty(listing_of({"docker/registry.txt": 3}), FOREIGN_TREE)


@pytest.mark.parametrize(
    ("rootdirectory", "prefix"),
    [("", ""), ("/", ""), ("a", "a/"), ("/a/b", "a/b/"), ("a/b//", "a/b/")],
)
def test_the_root_is_a_prefix_of_keys(rootdirectory: str, prefix: str) -> None:
    assert root_prefix(rootdirectory) == prefix
