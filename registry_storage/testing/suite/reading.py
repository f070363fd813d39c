"""`read_blob`."""

from __future__ import annotations

import asyncio
import random

import pytest

from registry_storage.drivers.api import KiB, MiB
from registry_storage.errors import BlobNotFound, DriverError, RangeNotSatisfiable
from registry_storage.testing.bench import Workbench, contract
from registry_storage.testing.material import content, mark_of, new_id, read_all

HELLO = b"hello, world"
MORE_THAN_ANY_POOL_HAS = 300


@contract
async def test_stop_is_exclusive(readable: Workbench) -> None:
    blob = await readable.put_marked(HELLO)
    assert await read_all(readable.driver, blob.location, 3, 5) == HELLO[3:5]
    assert await read_all(readable.driver, blob.location, 4) == HELLO[4:]


@contract
async def test_stop_is_clipped_to_the_size(readable: Workbench) -> None:
    blob = await readable.put_marked(HELLO)
    assert await read_all(readable.driver, blob.location, 3, 10**12) == HELLO[3:]


@contract
async def test_ranges_of_a_large_blob_are_its_bytes(readable: Workbench) -> None:
    data = content(3 * MiB)
    blob = await readable.put_marked(data)
    edges = [0, 1, 64 * KiB - 1, 64 * KiB, 64 * KiB + 1, MiB - 1, MiB, len(data) - 1, len(data)]
    chosen = random.Random(1)
    for start in edges:
        stop = min(len(data), start + chosen.choice([0, 1, 64 * KiB, 64 * KiB + 1, 2 * MiB]))
        assert await read_all(readable.driver, blob.location, start, stop) == data[start:stop]


@contract
async def test_reading_from_the_end_reads_nothing(readable: Workbench) -> None:
    for data in (HELLO, b""):
        blob = await readable.put_marked(data)
        assert await read_all(readable.driver, blob.location, len(data)) == b""
        assert await read_all(readable.driver, blob.location, 0, 0) == b""


@contract
async def test_a_start_past_the_end_is_refused_on_entering_with_the_size(
    readable: Workbench,
) -> None:
    for data in (HELLO, b""):
        blob = await readable.put_marked(data)
        with pytest.raises(RangeNotSatisfiable) as refused:
            await readable.driver.read_blob(blob.location, len(data) + 1).__aenter__()
        assert refused.value.size == len(data)


@contract
async def test_what_is_not_there_is_blob_not_found_on_entering(readable: Workbench) -> None:
    for mark in (None, mark_of(HELLO)):
        location = readable.driver.location_of(new_id(), mark)
        with pytest.raises(BlobNotFound):
            await readable.driver.read_blob(location).__aenter__()


@contract
async def test_unmarked_blobs_can_be_read(readable: Workbench) -> None:
    blob = await readable.put(HELLO)
    assert await read_all(readable.driver, blob.location) == HELLO


@contract
async def test_many_can_read_one_blob_at_once(readable: Workbench) -> None:
    data = content(MiB)
    blob = await readable.put_marked(data)
    reads = [read_all(readable.driver, blob.location, start) for start in range(20)]
    assert await asyncio.gather(*reads) == [data[start:] for start in range(20)]


@contract
async def test_leaving_early_frees_the_connection(readable: Workbench) -> None:
    data = content(2 * MiB)
    blob = await readable.put_marked(data)
    for _ in range(MORE_THAN_ANY_POOL_HAS):
        async with readable.driver.read_blob(blob.location):
            pass
    for _ in range(20):
        async with readable.driver.read_blob(blob.location) as pieces:
            assert data.startswith(await anext(pieces))
    assert await read_all(readable.driver, blob.location) == data


@contract
async def test_a_cancelled_read_frees_the_connection(readable: Workbench) -> None:
    data = content(2 * MiB)
    blob = await readable.put_marked(data)
    for turns in range(30):
        reading = asyncio.create_task(read_all(readable.driver, blob.location))
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled() or reading.result() == data
    assert await read_all(readable.driver, blob.location) == data


@contract
async def test_a_blob_deleted_in_mid_read_is_read_whole_or_raises(readable: Workbench) -> None:
    data = content(4 * MiB)
    blob = await readable.put_marked(data)
    got = b""
    try:
        async with readable.driver.read_blob(blob.location) as pieces:
            async for piece in pieces:
                got += piece
                await readable.writer.delete_blobs([blob.location])
    except DriverError:
        assert data.startswith(got)
    else:
        assert got == data
    with pytest.raises(BlobNotFound):
        await readable.driver.stat_blob(blob.location)
