"""A mirror whose stores fail, die between two calls, or lack what the others have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry_storage import Registry
from registry_storage.drivers.api import (
    KiB,
    MiB,
    PartLimits,
    RepairProgress,
    Repairs,
    T,
)
from registry_storage.drivers.composite.mirror import MirrorDriver, Require
from registry_storage.drivers.composite.mirror.naming import joined_uploads
from registry_storage.drivers.composite.mirror.stores import AWAY_SECONDS, Store
from registry_storage.drivers.memory import MemoryDriver, MemorySpace
from registry_storage.drivers.wrappers.faults import Fault, FaultyDriver, When
from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    ConfigurationInvalid,
    DriverUnavailable,
    UploadNotFound,
)
from registry_storage.plugins import open_driver
from registry_storage.testing.material import Held, content, mark_of, new_id, read_all

HELLO = b"hello, world"
DOWN = Fault()
LATER = datetime.now(UTC) + timedelta(days=1)


class Crash(BaseException):
    """The process dies here."""


class Site:
    """One store, which can be broken in any way, and looked into past its faults."""

    def __init__(self, limits: PartLimits | None = None) -> None:
        self.space = MemorySpace()
        self.limits = limits
        self.broken: dict[str, Fault] = {}
        self.is_down = False
        self.called: list[str] = []

    def fault(self, method: str, call: int) -> Fault | None:
        self.called.append(method)
        return DOWN if self.is_down else self.broken.get(method)

    def driver(self) -> FaultyDriver:
        return _Startable(MemoryDriver(self.space, self.limits), self)

    def crash_in(self, method: str, when: When = When.BEFORE) -> None:
        self.broken = {method: Fault(when, Crash)}

    @property
    def held(self) -> list[bytes]:
        return [data for _, data in self.space.blobs.values()]

    @property
    def marked(self) -> list[bytes]:
        return [data for blob, data in self.space.blobs.values() if blob.mark]


class _Startable(FaultyDriver):
    """Its start may fail, too; and it passes for a store that outlives the process."""

    async def start(self) -> None:
        await self.intercept("start", self.inner.start)

    def extension(self, kind: type[T]) -> T | None:
        return None


@asynccontextmanager
async def mirror(sites: Sequence[Site], required: int | None = None) -> AsyncIterator[MirrorDriver]:
    async with AsyncExitStack() as stack:
        driver = MirrorDriver([site.driver() for site in sites], required or len(sites))
        stack.push_async_callback(driver.close)
        await driver.start()
        yield driver


@pytest.fixture
def near() -> Site:
    return Site()


@pytest.fixture
def far() -> Site:
    return Site()


async def test_a_blob_is_acknowledged_when_every_store_has_it(near: Site, far: Site) -> None:
    async with mirror([near, far]) as driver:
        blob_id = new_id()
        far.is_down = True
        with pytest.raises(DriverUnavailable):
            await driver.put_blob(blob_id, [HELLO], mark_of(HELLO))
        far.is_down = False
        await driver.put_blob(blob_id, [HELLO], mark_of(HELLO))
        assert near.held == far.held == [HELLO]


async def test_pulls_go_on_while_a_store_is_down(near: Site, far: Site) -> None:
    async with mirror([near, far]) as driver:
        blob = await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
        for broken in (near, far):
            broken.is_down = True
            assert await read_all(driver, blob.location, 2, 5) == HELLO[2:5]
            assert (await driver.stat_blob(blob.location)).size == len(HELLO)
            assert [found.location async for found in driver.list_blobs()] == [blob.location]
            broken.is_down = False


async def test_a_mirror_starts_while_a_store_is_down_and_uses_it_later(
    near: Site, far: Site
) -> None:
    async with mirror([near, far]) as driver:
        blob = await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
    near.is_down = True
    async with mirror([near, far]) as driver:
        assert await read_all(driver, blob.location) == HELLO
        with pytest.raises(DriverUnavailable):
            await driver.put_blob(new_id(), [HELLO], None)
    far.is_down = True
    with pytest.raises(DriverUnavailable, match=r"store 0 \(memory\) of the mirror"):
        async with mirror([near, far]):
            pass


async def test_a_registry_opens_and_serves_on_any_one_store(
    near: Site, far: Site, tmp_path: Path
) -> None:
    catalog = f"sqlite:///{tmp_path}/catalog.sqlite"

    def opened() -> Awaitable[Registry]:
        driver = MirrorDriver([near.driver(), far.driver()], 2)
        return Registry.open(driver, catalog_url=catalog)

    async with await opened() as registry:
        pushed = await registry.repository("a").put_blob(HELLO)
    for broken in (near, far):
        broken.is_down = True
        async with await opened() as registry:
            repository = registry.repository("a")
            async with repository.read_blob(await repository.blob(pushed.digest)) as pieces:
                assert b"".join([piece async for piece in pieces]) == HELLO
        broken.is_down = False


async def test_a_store_that_refuses_its_credentials_stops_the_start(near: Site, far: Site) -> None:
    far.broken = {"start": Fault(error=lambda: AccessDenied("wrong key"))}
    with pytest.raises(AccessDenied, match=r"store 1 \(memory\) of the mirror: wrong key"):
        async with mirror([near, far]):
            pass


async def test_nothing_is_missing_unless_every_store_says_so(near: Site, far: Site) -> None:
    async with mirror([near, far]) as driver:
        location = driver.location_of(new_id(), mark_of(HELLO))
        for broken in (near, far):
            broken.is_down = True
            with pytest.raises(DriverUnavailable):
                await driver.stat_blob(location)
            with pytest.raises(DriverUnavailable):
                await read_all(driver, location)
            broken.is_down = False
        with pytest.raises(BlobNotFound, match="no store of the mirror"):
            await read_all(driver, location)


async def test_a_read_that_breaks_goes_on_at_the_next_store(near: Site, far: Site) -> None:
    data = content(3 * MiB)
    async with mirror([near, far]) as driver:
        blob = await driver.put_blob(new_id(), [data], mark_of(data))
        near.broken = {"read_blob": Fault(When.MIDWAY, after=1_234_567)}
        assert await read_all(driver, blob.location) == data
        assert await read_all(driver, blob.location, 5, 2 * MiB) == data[5 : 2 * MiB]
        far.broken = {"read_blob": Fault(When.MIDWAY, after=17)}
        with pytest.raises(DriverUnavailable):
            await read_all(driver, blob.location)


async def test_a_copy_that_a_read_misses_is_made_good(near: Site, far: Site) -> None:
    async with mirror([near, far]) as driver:
        blob = await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
        near.space.blobs.clear()
        assert await read_all(driver, blob.location) == HELLO
        await driver.repairs.idle()
        assert near.held == [HELLO]
        far.space.blobs.clear()
        assert await read_all(driver, blob.location) == HELLO


async def test_an_unmarked_blob_is_not_repaired(near: Site, far: Site) -> None:
    async with mirror([near, far]) as driver:
        blob = await driver.put_blob(new_id(), [HELLO], None)
        near.space.blobs.clear()
        assert await read_all(driver, blob.location) == HELLO
        await driver.repairs.idle()
        assert near.held == []
        marked = await driver.mark_blob(blob.location, mark_of(HELLO))
        assert near.marked == far.marked == [HELLO]
        assert [found async for found in driver.list_blobs()] == [marked]


async def test_deleting_needs_every_store_and_can_be_repeated(near: Site, far: Site) -> None:
    async with mirror([near, far]) as driver:
        blob = await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
        far.is_down = True
        with pytest.raises(DriverUnavailable):
            await driver.delete_blobs([blob.location])
        far.is_down = False
        await driver.delete_blobs([blob.location])
        assert near.held == far.held == []


async def test_a_commit_that_died_between_two_stores_can_be_repeated(near: Site, far: Site) -> None:
    for when in (When.BEFORE, When.AFTER):
        async with mirror([near, far]) as dying:
            handle = await dying.begin_upload(new_id())
            part = await dying.put_part(handle, 1, 0, Held(HELLO), len(HELLO))
            far.crash_in("commit_upload", when)
            with pytest.raises(Crash):
                await dying.commit_upload(handle, [part], mark_of(HELLO))
        far.broken = {}
        async with mirror([near, far]) as driver:
            assert [found.size async for found in driver.list_blobs()] == [len(HELLO)]
            blob = await driver.commit_upload(handle, [part], mark_of(HELLO))
            assert near.held == far.held == [HELLO]
            assert [found async for found in driver.list_uploads(LATER)] == []
            await driver.delete_blobs([blob.location])


async def test_a_store_that_lost_an_upload_is_given_the_blob_before_the_answer(
    near: Site, far: Site
) -> None:
    data = content(300_000)
    for loser in (near, far):
        async with mirror([near, far]) as driver:
            handle = await driver.begin_upload(new_id())
            part = await driver.put_part(handle, 1, 0, Held(data), len(data))
            loser.space.uploads.clear()
            blob = await driver.commit_upload(handle, [part], mark_of(data))
            assert near.marked == far.marked == [data]
            await driver.delete_blobs([blob.location])


async def test_an_unmarked_blob_is_not_given_to_a_store_that_lost_the_upload(
    near: Site, far: Site
) -> None:
    async with mirror([near, far]) as driver:
        handle = await driver.begin_upload(new_id())
        part = await driver.put_part(handle, 1, 0, Held(HELLO), len(HELLO))
        far.space.uploads.clear()
        with pytest.raises(UploadNotFound):
            await driver.commit_upload(handle, [part], None)


async def test_a_begin_that_fails_in_one_store_leaves_nothing_in_the_others(
    near: Site, far: Site
) -> None:
    async with mirror([near, far]) as driver:
        far.is_down = True
        with pytest.raises(DriverUnavailable):
            await driver.begin_upload(new_id())
        assert not near.space.uploads


async def test_an_upload_that_died_in_its_beginning_is_listed_and_aborted(
    near: Site, far: Site
) -> None:
    async with mirror([near, far]) as dying:
        far.crash_in("begin_upload")
        with pytest.raises(Crash):
            await dying.begin_upload(new_id())
    far.broken = {}
    async with mirror([near, far]) as driver:
        [handle] = [found async for found in driver.list_uploads(LATER)]
        await driver.abort_upload(handle)
        assert not near.space.uploads


async def test_uploads_are_not_listed_while_a_store_is_down(near: Site, far: Site) -> None:
    async with mirror([near, far]) as driver:
        handle = await driver.begin_upload(new_id())
        far.is_down = True
        with pytest.raises(DriverUnavailable):
            _ = [found async for found in driver.list_uploads(LATER)]
        far.is_down = False
        assert [found async for found in driver.list_uploads(LATER)] == [handle]


async def test_an_abort_needs_every_store_and_what_it_left_can_be_found(
    near: Site, far: Site
) -> None:
    async with mirror([near, far]) as driver:
        handle = await driver.begin_upload(new_id())
        far.is_down = True
        with pytest.raises(DriverUnavailable):
            await driver.abort_upload(handle)
        far.is_down = False
        [left] = [found async for found in driver.list_uploads(LATER)]
        await driver.abort_upload(left)
        await driver.abort_upload(handle)
        assert not near.space.uploads
        assert not far.space.uploads


async def test_marking_that_died_between_two_stores_shows_the_mark_and_can_be_repeated(
    near: Site, far: Site
) -> None:
    for dies in (near, far):
        async with mirror([near, far]) as dying:
            unmarked = await dying.put_blob(new_id(), [HELLO], None)
            dies.crash_in("mark_blob")
            with pytest.raises(Crash):
                await dying.mark_blob(unmarked.location, mark_of(HELLO))
        dies.broken = {}
        async with mirror([near, far]) as driver:
            assert [found.mark async for found in driver.list_blobs()] == [mark_of(HELLO)]
            blob = await driver.mark_blob(unmarked.location, mark_of(HELLO))
            assert near.marked == far.marked == [HELLO]
            await driver.delete_blobs([blob.location])
            assert near.held == far.held == []


async def test_where_one_store_is_enough_pushes_go_on_and_the_other_is_repaired(
    near: Site, far: Site
) -> None:
    for broken in (near, far):
        async with mirror([near, far], required=1) as driver:
            broken.is_down = True
            small = await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
            handle = await driver.begin_upload(new_id())
            data = content(400_000)
            part = await driver.put_part(handle, 1, 0, Held(data), len(data))
            large = await driver.commit_upload(handle, [part], mark_of(data))
            for blob, expected in ((small, HELLO), (large, data)):
                assert await read_all(driver, blob.location) == expected
            broken.is_down = False
            progress = [step async for step in driver.repair()]
            assert progress[-1] == RepairProgress(2, 2, 2)
            assert sorted(near.marked) == sorted(far.marked) == sorted([HELLO, data])
            await driver.delete_blobs([small.location, large.location])


async def test_an_acknowledged_part_can_be_committed_though_a_store_went_down_between(
    near: Site, far: Site
) -> None:
    first, second = content(100_000, 1), content(100_000, 2)
    async with mirror([near, far], required=1) as driver:
        handle = await driver.begin_upload(new_id())
        parts = [await driver.put_part(handle, 1, 0, Held(first), len(first))]
        far.is_down = True
        parts.append(await driver.put_part(handle, 2, len(first), Held(second), len(second)))
        far.is_down = False
        blob = await driver.commit_upload(handle, parts, mark_of(first + second))
        await driver.repairs.idle()
        assert near.marked == far.marked == [first + second]
        near.is_down = True
        assert await read_all(driver, blob.location) == first + second


async def test_a_store_that_went_away_does_not_slow_every_part_down(near: Site, far: Site) -> None:
    async with mirror([near, far], required=1) as driver:
        handle = await driver.begin_upload(new_id())
        far.is_down = True
        for number in (1, 2, 3):
            await driver.put_part(handle, number, 0, Held(HELLO), len(HELLO))
        assert far.called.count("put_part") == 1


async def test_a_part_needs_the_stores_that_all_parts_lie_in(near: Site, far: Site) -> None:
    async with mirror([near, far], required=1) as driver:
        handle = await driver.begin_upload(new_id())
        near.is_down = True
        with pytest.raises(DriverUnavailable):
            await driver.put_part(handle, 1, 0, Held(HELLO), len(HELLO))


async def test_a_listing_without_a_store_that_alone_may_hold_something_is_refused(
    near: Site, far: Site
) -> None:
    async with mirror([near, far], required=1) as driver:
        await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
        far.is_down = True
        with pytest.raises(DriverUnavailable):
            _ = [found async for found in driver.list_blobs()]


async def test_what_one_store_has_marked_is_listed_so_though_a_nearer_one_has_not(
    near: Site, far: Site
) -> None:
    async with mirror([near, far], required=1) as driver:
        unmarked = await driver.put_blob(new_id(), [HELLO], None)
        near.is_down = True
        marked = await driver.mark_blob(unmarked.location, mark_of(HELLO))
        near.is_down = False
        assert [found.location async for found in driver.list_blobs()] == [marked.location]
        await driver.repairs.close()
        assert [step async for step in driver.repair()][-1].repaired == 1
        assert near.held == near.marked == [HELLO]


async def test_repair_copies_what_is_missing_in_parts_that_the_target_takes(near: Site) -> None:
    limits = PartLimits(min_size=32 * KiB, max_size=256 * KiB, preferred_size=64 * KiB)
    for strict in (Site(limits), Site(PartLimits(preferred_size=None, max_size=MiB))):
        blobs = [content(size) for size in (0, 1, 64 * KiB, 200_000, 2 * MiB + 1)]
        async with mirror([near, strict]) as driver:
            for data in blobs:
                source = MemoryDriver(near.space)
                await source.put_blob(new_id(), [data], mark_of(data))
            steps = [step async for step in driver.repair()]
            assert steps[0] == RepairProgress(len(blobs), len(blobs), 0)
            assert steps[-1] == RepairProgress(len(blobs), len(blobs), len(blobs))
            assert sorted(strict.marked) == sorted(blobs)
            assert not strict.space.uploads
            assert [step async for step in driver.repair()] == [RepairProgress(len(blobs), 0, 0)]
            near.space.blobs.clear()


async def test_repair_spreads_no_copy_that_has_not_its_digest(near: Site, far: Site) -> None:
    third = Site(PartLimits(preferred_size=4 * KiB))
    data = content(50_000)
    async with mirror([near, far, third]) as driver:
        for site, held in ((near, b"x" + data[1:]), (far, data)):
            await MemoryDriver(site.space).put_blob(A_BLOB, [held], mark_of(data))
        assert [step async for step in driver.repair()][-1].repaired == 1
        assert third.marked == [data]
        far.space.blobs.clear()
        third.space.blobs.clear()
        last = [step async for step in driver.repair()][-1]
        assert last.repaired == 0
        assert "does not have its digest" in last.failures[0]
        assert far.held == third.held == []
        assert not third.space.uploads


A_BLOB = new_id()


async def test_a_copy_is_undone_where_its_source_was_deleted_meanwhile(
    near: Site, far: Site
) -> None:
    async with mirror([near, far]) as driver:
        await MemoryDriver(near.space).put_blob(A_BLOB, [HELLO], mark_of(HELLO))
        far.broken = {}

        original = far.fault

        def deleted_meanwhile(method: str, call: int) -> Fault | None:
            if method == "put_blob":
                near.space.blobs.clear()
            return original(method, call)

        far.fault = deleted_meanwhile  # type: ignore[method-assign]
        last = [step async for step in driver.repair()][-1]
        assert last.repaired == 0
        assert near.held == far.held == []


async def test_a_store_that_is_away_is_not_asked_until_its_time_has_passed(
    near: Site, far: Site
) -> None:
    now = 1000.0
    store = Store(0, near.driver(), clock=lambda: now)
    await store.start()
    near.is_down = True
    for _ in range(2):
        with pytest.raises(DriverUnavailable):
            await store.ask(lambda driver: driver.stat_blob("x"))
        assert store.is_away
        now += AWAY_SECONDS / 2
    assert not store.is_away
    near.is_down = False
    with pytest.raises(BlobNotFound):
        await store.ask(lambda driver: driver.stat_blob("x"))


async def test_a_read_asks_the_store_that_is_away_last(near: Site, far: Site) -> None:
    async with mirror([near, far]) as driver:
        blob = await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
        near.is_down = True
        await driver.stat_blob(blob.location)
        near.called.clear()
        assert await read_all(driver, blob.location) == HELLO
        assert near.called == []


def test_stores_with_nothing_in_common_are_refused() -> None:
    large, small = PartLimits(min_size=5 * MiB), PartLimits(preferred_size=1 * MiB)
    with pytest.raises(ConfigurationInvalid, match="cannot be mirrored"):
        MirrorDriver([MemoryDriver(limits=large), MemoryDriver(limits=small)], 2)


def test_a_driver_that_hides_its_ids_is_refused() -> None:
    class Hiding(MemoryDriver):
        def location_of(self, blob_id: str, mark: object) -> str:
            return blob_id[::-1]

    with pytest.raises(ConfigurationInvalid, match="do not show the blob's id"):
        MirrorDriver([MemoryDriver(), Hiding()], 2)


def test_the_extension_repairs_is_had() -> None:
    assert MirrorDriver([MemoryDriver(), MemoryDriver()], 2).extension(Repairs) is not None


def test_uploads_of_one_id_belong_together_and_second_ones_stand_alone() -> None:
    one, two = new_id(), new_id()
    listings = [[f"{one}.1", f"{two}.1"], [f"x/{one}/{new_id()}", f"x/{one}/{new_id()}"]]
    first, alone, second = joined_uploads(listings)
    assert first == f'["{one}.1","{listings[1][0]}"]'
    assert alone == f'["{two}.1",null]'
    assert second == f'[null,"{listings[1][1]}"]'


@pytest.mark.parametrize(
    ("stores", "message"),
    [
        (None, "storage.mirror.stores: required"),
        (["memory"], "storage.mirror.stores: tuple should have at least 2 items"),
        (["memory", "memory"], "storage.mirror.stores: two of the stores are the same"),
        (["memory", {"memory": {}, "s3": {}}], "storage.mirror.stores.1: name one driver here"),
        (["memory", 7], "storage.mirror.stores.1: name one driver here"),
        (["memory", "memry"], "storage.mirror.stores.1.memry: unknown driver (did you mean"),
        (
            ["memory", {"filesystem": {"rootdirectry": "/x"}}],
            "storage.mirror.stores.1.filesystem.rootdirectory: required",
        ),
    ],
)
def test_a_wrong_setting_is_told_by_its_full_path(stores: object, message: str) -> None:
    settings = {} if stores is None else {"stores": stores}
    with pytest.raises(ConfigurationInvalid) as refused:
        open_driver("mirror", settings)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(("require", "needed"), [("all", 3), ("quorum", 2), ("one", 1)])
async def test_require_says_how_many_stores_must_hold_a_blob(require: str, needed: int) -> None:
    sites = [Site() for _ in range(3)]
    async with mirror(sites, Require(require).of(3)) as driver:
        for up in (3, 2, 1):
            if up >= needed:
                await driver.put_blob(new_id(), [HELLO], None)
            else:
                with pytest.raises(DriverUnavailable):
                    await driver.put_blob(new_id(), [HELLO], None)
            sites[up - 1].is_down = True
