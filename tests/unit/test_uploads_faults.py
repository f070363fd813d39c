"""The store fails, before or after any of its calls: the client goes on, and nothing is lost.

Each scenario is run once without a fault, to count its calls, and then once for each of them and
each moment of failure.
"""

from __future__ import annotations

import os

import pytest

from registry_storage.catalog import Catalog
from registry_storage.catalog.blobs import BlobRow
from registry_storage.digest import Digest
from registry_storage.drivers.api import KiB
from registry_storage.drivers.memory import MemorySpace
from registry_storage.drivers.wrappers.faults import Fault, FaultyDriver, Scripted, When
from registry_storage.errors import (
    BlobNotFound,
    DriverError,
    DriverUnavailable,
    PartLost,
    UploadConflict,
    UploadNotFound,
    UploadUnknown,
)
from registry_storage.maintenance.janitor import Janitor
from registry_storage.policy import StorePolicy
from tests.unit.uploading import LIMITS, REPOSITORY, Bench, body, open_bench

DATA = os.urandom(400 * KiB)

SCENARIOS = {
    "whole": ("files", [100]),
    "whole with tails": ("large parts", [10 * KiB, 70 * KiB, 100]),
    "one tail": ("large parts", [90 * KiB, 0]),
    "a stream": ("files", [400 * KiB]),
    "a stream, then nothing": ("files", [400 * KiB, 0]),
    "two streams": ("files", [300 * KiB, 100 * KiB]),
    "parts": ("large parts", [400 * KiB]),
    "parts and a tail": ("large parts", [300 * KiB, 100 * KiB, 0]),
}


def faulty(
    catalog: Catalog, limits: str, fault: Fault | None, call: int
) -> tuple[Bench, FaultyDriver]:
    plan = Scripted({call: fault} if fault else {})
    space = MemorySpace()
    bench = open_bench(
        catalog, LIMITS[limits], space=space, wrap=lambda driver: FaultyDriver(driver, plan)
    )
    assert isinstance(bench.driver, FaultyDriver)
    return bench, bench.driver


async def push_stubbornly(bench: Bench, sizes: list[int]) -> BlobRow:
    """As a client that asks where its upload stands after each failure, and sends on from there.

    Once it was told that a byte is held, it never sends that byte again.
    """
    data = DATA[: sum(sizes)]
    upload = await bench.begin()
    offset = 0
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    for end in ends[:-1]:
        while offset < end:
            try:
                offset = await bench.append(upload, data[offset:end], start=offset)
            except DriverError:
                offset = (await bench.uploads.status(REPOSITORY, upload, "")).offset
    for _ in range(5):
        try:
            rest = body(data[offset:])
            digest = Digest.of(data)
            return await bench.uploads.finish(REPOSITORY, upload, "", digest, rest, start=offset)
        except UploadConflict as refused:
            offset = refused.offset
        except DriverError:
            offset = (await bench.uploads.status(REPOSITORY, upload, "")).offset
    raise AssertionError("the upload does not come to an end")


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
@pytest.mark.parametrize("hashing", ["libcrypto", "hashlib"])
@pytest.mark.parametrize(("limits", "sizes"), SCENARIOS.values(), ids=SCENARIOS)
async def test_a_failing_call_costs_nothing_but_a_repetition(
    catalog: Catalog,
    limits: str,
    sizes: list[int],
    hashing: str,
    when: When,
    request: pytest.FixtureRequest,
) -> None:
    if hashing == "hashlib":
        request.getfixturevalue("plain_hashlib")
    call, calls = 0, 1
    while call < calls:
        await catalog_is_emptied(catalog)
        bench, driver = faulty(catalog, limits, Fault(when), call)
        blob = await push_stubbornly(bench, sizes)
        call, calls = call + 1, len(driver.called)
        driver.plan = Scripted()
        assert await bench.read(blob) == DATA[: sum(sizes)]
        assert await bench.value("SELECT count(*) FROM blobs") == 1
        await assert_all_bytes_are_accounted_for(bench)
    assert call > 1, "at least one call has failed"


async def catalog_is_emptied(catalog: Catalog) -> None:
    bench = open_bench(catalog)
    for table in ("uploads", "repository_blobs", "blobs", "garbage"):
        await bench.change(f"DELETE FROM {table}")


async def assert_all_bytes_are_accounted_for(bench: Bench) -> None:
    """What no row names is only what a lost answer hides: it has no mark, or no second copy."""
    await bench.uploads.close()
    named = {row[0] for row in await bench.rows("SELECT location FROM blobs")}
    garbage = {row[0] for row in await bench.rows("SELECT location FROM garbage")}
    assert named <= set(bench.space.blobs)
    assert not named & garbage


@pytest.mark.parametrize("error", [PartLost, UploadNotFound])
async def test_an_upload_that_the_store_has_lost_ends(
    catalog: Catalog, error: type[DriverError]
) -> None:
    """The client is told to begin again, not to wait for a part that never comes back."""
    bench, driver = faulty(catalog, "files", None, 0)
    upload = await bench.begin()
    await bench.append(upload, DATA)
    driver.plan = Scripted(methods={"commit_upload": Fault(error=lambda: error("gone"))})
    with pytest.raises(UploadUnknown, match="lost bytes"):
        await bench.finish(upload, Digest.of(DATA))
    with pytest.raises(UploadUnknown):
        await bench.uploads.status(REPOSITORY, upload, "")
    assert not bench.space.uploads


async def test_an_upload_whose_handle_is_gone_ends_at_the_next_chunk(catalog: Catalog) -> None:
    bench, _ = faulty(catalog, "files", None, 0)
    upload = await bench.begin()
    await bench.append(upload, DATA)
    bench.space.uploads.clear()
    with pytest.raises(UploadUnknown, match="lost bytes"):
        await bench.append(upload, DATA)


async def test_a_store_that_stays_down_leaves_the_session_as_it_was(catalog: Catalog) -> None:
    bench, driver = faulty(catalog, "files", None, 0)
    upload = await bench.begin()
    await bench.append(upload, DATA)
    for error in (DriverUnavailable, BlobNotFound):
        driver.plan = Scripted(
            methods={"commit_upload": Fault(error=lambda error=error: error("down"))}
        )
        with pytest.raises(error):
            await bench.finish(upload, Digest.of(DATA))
    driver.plan = Scripted()
    assert await bench.read(await bench.finish(upload, Digest.of(DATA))) == DATA


async def test_what_cannot_be_aborted_now_is_aborted_by_the_janitor(catalog: Catalog) -> None:
    bench, driver = faulty(catalog, "files", None, 0)
    upload = await bench.begin()
    await bench.append(upload, DATA)
    driver.plan = Scripted(methods={"abort_upload": Fault()})
    await bench.uploads.cancel(REPOSITORY, upload, "")
    assert bench.space.uploads
    failing = Janitor(bench.driver, catalog, StorePolicy())
    await failing.tick()
    await failing.resign()
    assert await bench.value("SELECT state FROM uploads") == "aborting"
    driver.plan = Scripted()
    await Janitor(bench.driver, catalog, StorePolicy()).tick()
    assert await bench.value("SELECT count(*) FROM uploads") == 0
    assert not bench.space.uploads
