"""The rados driver dies, or is overtaken, between any two of its requests: nothing gets lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from registry_storage.drivers._object_layout import Place, parse_location
from registry_storage.drivers.api import Part
from registry_storage.drivers.rados import pool as pool_module
from registry_storage.drivers.rados.layout import Address
from registry_storage.drivers.rados.pool import Change, Pool, binding
from registry_storage.drivers.rados.store import RadosStore
from registry_storage.errors import BlobNotFound, DriverUnavailable, UploadNotFound
from registry_storage.testing.material import mark_of, new_id
from tests.drivers.rados_pool import fresh_address, keys_in, objects_in, opened
from tests.services.ceph import CephCluster

pytestmark = pytest.mark.xdist_group("ceph")

PIECES = [b"first", b"second", b"third"]
WHOLE = b"".join(PIECES)
LARGEST = len(WHOLE)
MORE_REQUESTS_THAN_ANY = 40

Life = Callable[[RadosStore], object]


class Crash(BaseException):
    """The process dies here."""


class MortalPool(Pool):
    """Dies after so many requests that change something; from then on nothing gets through."""

    def __init__(self, address: Address, requests: int) -> None:
        super().__init__(binding(), address)
        self.left = requests

    def write(self, name: str, data: bytes) -> None:
        self._live()
        super().write(name, data)

    def change(self, directory: str, change: Change) -> bool:
        self._live()
        return super().change(directory, change)

    def remove(self, names: Iterable[str]) -> None:
        for name in list(names):
            self._live()
            super().remove([name])

    def _live(self) -> None:
        if self.left == 0:
            raise Crash
        self.left -= 1


class OvertakenPool(Pool):
    """Lets something happen just before its next request of one kind."""

    def __init__(self, address: Address) -> None:
        super().__init__(binding(), address)
        self.before_write: Callable[[], object] | None = None
        self.before_change: Callable[[], object] | None = None

    def write(self, name: str, data: bytes) -> None:
        overtaking, self.before_write = self.before_write, None
        if overtaking:
            overtaking()
        super().write(name, data)

    def change(self, directory: str, change: Change) -> bool:
        overtaking = self.before_change if any("blob/" in key for key in change.put) else None
        if overtaking:
            self.before_change = None
            overtaking()
        return super().change(directory, change)


@pytest.fixture
def address(ceph: CephCluster) -> Address:
    return fresh_address(ceph)


@pytest.fixture
def store(address: Address) -> Iterator[RadosStore]:
    """A store that lives."""
    made = RadosStore(Pool(binding(), address), LARGEST)
    made.open()
    yield made
    made.close()


@pytest.fixture
def slow(address: Address) -> Iterator[tuple[RadosStore, OvertakenPool]]:
    """A store that can be overtaken."""
    pool = OvertakenPool(address)
    with opened(pool):
        yield RadosStore(pool, LARGEST), pool


def sent(store: RadosStore, handle: str) -> list[Part]:
    """The pieces, as parts of an upload."""
    return [store.put_part(handle, number, 0, [piece]) for number, piece in enumerate(PIECES, 1)]


def upload(store: RadosStore) -> None:
    handle = store.begin(new_id())
    parts = sent(store, handle)
    store.put_part(handle, len(PIECES) + 1, 0, [b"never named"])
    store.commit(handle, parts, mark_of(WHOLE))


def upload_in_one_part(store: RadosStore) -> None:
    handle = store.begin(new_id())
    store.commit(handle, sent(store, handle)[:1], None)


def upload_in_vain(store: RadosStore) -> None:
    handle = store.begin(new_id())
    sent(store, handle)
    store.abort(handle)


def put_and_mark(store: RadosStore) -> None:
    blob_id = new_id()
    store.put(Place(blob_id, None), [WHOLE])
    store.mark(blob_id, mark_of(WHOLE))


def upload_and_delete(store: RadosStore) -> None:
    blob_id = new_id()
    handle = store.begin(blob_id)
    store.commit(handle, sent(store, handle), mark_of(WHOLE))
    store.delete([Place(blob_id, None)])


def uploads_of(store: RadosStore) -> list[str]:
    return list(store.uploads(datetime.now(UTC) + timedelta(days=1)))


def contents(store: RadosStore, place: Place) -> bytes:
    reading = store.read(place, 0, None)
    pieces = []
    while reading.remaining:
        pieces.append(reading.next_piece(reading.remaining))
    return b"".join(pieces)


@pytest.mark.parametrize(
    "life", [upload, upload_in_one_part, upload_in_vain, put_and_mark, upload_and_delete]
)
def test_whoever_dies_leaves_whole_blobs_and_listed_uploads_only(
    address: Address, store: RadosStore, life: Life
) -> None:
    for requests in range(MORE_REQUESTS_THAN_ANY):
        with opened(pool := MortalPool(address, requests)):
            try:
                life(RadosStore(pool, LARGEST))
            except Crash:
                died = True
            else:
                died = False
        for blob in store.walk(None):
            assert contents(store, parse_location(blob.location)) in (WHOLE, PIECES[0])
        for handle in uploads_of(store):
            store.abort(handle)
        store.delete([parse_location(blob.location) for blob in store.walk(None)])
        assert (objects_in(address), keys_in(address)) == ([], []), requests
        if not died:
            return
    pytest.fail("it makes more requests than that")


def test_a_part_that_an_abort_overtakes_removes_its_object(
    address: Address, store: RadosStore, slow: tuple[RadosStore, OvertakenPool]
) -> None:
    behind, pool = slow
    handle = store.begin(new_id())
    pool.before_write = lambda: store.abort(handle)
    with pytest.raises(UploadNotFound):
        behind.put_part(handle, 1, 0, [WHOLE])
    assert (objects_in(address), keys_in(address)) == ([], [])


def test_a_put_that_an_abort_overtakes_leaves_nothing_and_may_be_repeated(
    address: Address, store: RadosStore, slow: tuple[RadosStore, OvertakenPool]
) -> None:
    behind, pool = slow
    place = Place(new_id(), mark_of(WHOLE))
    pool.before_change = lambda: [store.abort(handle) for handle in uploads_of(store)]
    with pytest.raises(DriverUnavailable):
        behind.put(place, [WHOLE])
    assert (objects_in(address), keys_in(address)) == ([], [])
    behind.put(place, [WHOLE])
    assert contents(store, place) == WHOLE


@pytest.mark.parametrize("moment", ["before_write", "before_change"])
def test_a_commit_that_another_overtakes_answers_what_that_published(
    address: Address, store: RadosStore, slow: tuple[RadosStore, OvertakenPool], moment: str
) -> None:
    behind, pool = slow
    handle = store.begin(new_id())
    parts = sent(store, handle)
    answers = []
    setattr(pool, moment, lambda: answers.append(store.commit(handle, parts, mark_of(WHOLE))))
    assert [behind.commit(handle, parts, mark_of(WHOLE))] == answers
    assert contents(store, parse_location(answers[0].location)) == WHOLE
    assert len(objects_in(address)) == len(parts) + 1
    assert len(keys_in(address)) == 1


def test_a_commit_that_an_abort_overtakes_publishes_nothing(
    address: Address, store: RadosStore, slow: tuple[RadosStore, OvertakenPool]
) -> None:
    behind, pool = slow
    handle = store.begin(new_id())
    parts = sent(store, handle)
    pool.before_change = lambda: store.abort(handle)
    with pytest.raises(UploadNotFound):
        behind.commit(handle, parts, mark_of(WHOLE))
    assert (objects_in(address), keys_in(address)) == ([], [])


def test_a_blob_marked_while_it_is_listed_is_listed_once(
    store: RadosStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "PAGE", 2)
    ids = [f"00{new_id()[2:]}" for _ in range(9)]
    for blob_id in ids:
        store.put(Place(blob_id, None), [WHOLE])
    seen = []
    for number, blob in enumerate(store.walk(None)):
        seen.append(parse_location(blob.location).blob_id)
        if number < len(ids):
            store.mark(sorted(ids)[-1 - number], mark_of(WHOLE))
    assert sorted(seen) == sorted(ids)


def test_a_blob_that_lost_a_stripe_is_an_error_not_a_short_read(
    address: Address, store: RadosStore
) -> None:
    blob_id = new_id()
    handle = store.begin(blob_id)
    parts = sent(store, handle)
    store.commit(handle, parts, None)
    with opened(Pool(binding(), address)) as pool:
        pool.remove([parts[1].token])
    with pytest.raises(BlobNotFound, match="is gone"):
        contents(store, Place(blob_id, None))
