"""`put_blob`, `mark_blob`, `stat_blob`, `delete_blobs`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from registry_storage.drivers.api import BlobKind, Buffer
from registry_storage.errors import BlobNotFound
from registry_storage.testing.bench import Workbench, contract
from registry_storage.testing.material import at_once, content, mark_of, new_id, read_all

HELLO = b"hello, world"
CLOCKS_MAY_DIFFER_BY = timedelta(minutes=5)


@contract
async def test_put_blob_publishes_all_its_bytes(bench: Workbench) -> None:
    blob = await bench.driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
    assert await read_all(bench.driver, blob.location) == HELLO


@contract
async def test_put_blob_answers_location_size_and_mark(bench: Workbench) -> None:
    for mark in (None, mark_of(HELLO), mark_of(HELLO, BlobKind.JOURNAL, "sha512")):
        blob_id = new_id()
        blob = await bench.driver.put_blob(blob_id, [HELLO], mark)
        assert blob.location == bench.driver.location_of(blob_id, mark)
        assert (blob.size, blob.mark) == (len(HELLO), mark)


@contract
async def test_stored_at_is_the_time_of_publishing_in_utc(bench: Workbench) -> None:
    blob = await bench.put(HELLO)
    assert blob.stored_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - blob.stored_at) < CLOCKS_MAY_DIFFER_BY


@contract
async def test_put_blob_takes_the_empty_blob(bench: Workbench) -> None:
    for pieces in ([], [b""]):
        blob = await bench.driver.put_blob(new_id(), pieces, mark_of(b""))
        assert blob.size == 0
        assert await read_all(bench.driver, blob.location) == b""


@contract
async def test_put_blob_takes_any_buffers_in_any_number(bench: Workbench) -> None:
    pieces: list[Buffer] = [b"a", bytearray(b"bc"), memoryview(b"xdex")[1:3], b"", *[b"f"] * 3000]
    blob = await bench.driver.put_blob(new_id(), pieces, None)
    assert await read_all(bench.driver, blob.location) == b"abcde" + b"f" * 3000


@contract
async def test_put_blob_takes_as_much_as_the_preferred_size(bench: Workbench) -> None:
    most = at_once(bench.driver.limits)
    for size in (most - 1, most):
        data = content(size)
        blob = await bench.put(data)
        assert await read_all(bench.driver, blob.location) == data


@contract
async def test_put_blob_repeated_answers_the_same(bench: Workbench) -> None:
    for mark in (None, mark_of(HELLO)):
        blob_id = new_id()
        blob = await bench.driver.put_blob(blob_id, [HELLO], mark)
        assert await bench.driver.put_blob(blob_id, [HELLO], mark) == blob


@contract
async def test_put_blob_repeated_at_the_same_time_answers_the_same(bench: Workbench) -> None:
    data, blob_id = content(100_000), new_id()
    puts = [bench.driver.put_blob(blob_id, [data], mark_of(data)) for _ in range(8)]
    answers = await asyncio.gather(*puts)
    assert len({blob.location for blob in answers}) == 1
    assert await read_all(bench.driver, answers[0].location) == data


@contract
async def test_two_ids_with_equal_bytes_are_two_blobs(bench: Workbench) -> None:
    first, second = await bench.put_marked(HELLO), await bench.put_marked(HELLO)
    assert first.location != second.location
    await bench.driver.delete_blobs([first.location])
    assert await read_all(bench.driver, second.location) == HELLO


@contract
async def test_location_of_gives_each_id_a_location_of_its_own(bench: Workbench) -> None:
    ids = [new_id() for _ in range(3)]
    for mark in (None, mark_of(HELLO)):
        assert len({bench.driver.location_of(blob_id, mark) for blob_id in ids}) == len(ids)


@contract
async def test_stat_blob_answers_what_publishing_answered(bench: Workbench) -> None:
    for blob in (await bench.put(HELLO), await bench.put_marked(HELLO)):
        assert await bench.driver.stat_blob(blob.location) == blob


@contract
async def test_stat_blob_of_what_was_never_stored_is_blob_not_found(readable: Workbench) -> None:
    for mark in (None, mark_of(HELLO)):
        with pytest.raises(BlobNotFound):
            await readable.driver.stat_blob(readable.driver.location_of(new_id(), mark))


@contract
async def test_mark_blob_vouches_and_keeps_the_bytes(bench: Workbench) -> None:
    for kind in BlobKind:
        unmarked = await bench.put(HELLO)
        marked = await bench.driver.mark_blob(unmarked.location, mark_of(HELLO, kind))
        assert (marked.size, marked.mark) == (len(HELLO), mark_of(HELLO, kind))
        assert await bench.driver.stat_blob(marked.location) == marked
        assert await read_all(bench.driver, marked.location) == HELLO


@contract
async def test_mark_blob_answers_the_location_that_location_of_names(bench: Workbench) -> None:
    blob_id = new_id()
    unmarked = await bench.driver.put_blob(blob_id, [HELLO], None)
    marked = await bench.driver.mark_blob(unmarked.location, mark_of(HELLO))
    assert marked.location == bench.driver.location_of(blob_id, mark_of(HELLO))


@contract
async def test_mark_blob_of_the_old_or_new_location_answers_the_same(bench: Workbench) -> None:
    unmarked = await bench.put(HELLO)
    marked = await bench.driver.mark_blob(unmarked.location, mark_of(HELLO))
    for location in (unmarked.location, marked.location):
        assert await bench.driver.mark_blob(location, mark_of(HELLO)) == marked


@contract
async def test_mark_blob_repeated_at_the_same_time_answers_the_same(bench: Workbench) -> None:
    unmarked = await bench.put(HELLO)
    marks = [bench.driver.mark_blob(unmarked.location, mark_of(HELLO)) for _ in range(8)]
    assert len(set(await asyncio.gather(*marks))) == 1


@contract
async def test_mark_blob_where_nothing_is_is_blob_not_found(bench: Workbench) -> None:
    gone = await bench.put(HELLO)
    await bench.driver.delete_blobs([gone.location])
    for location in (gone.location, bench.driver.location_of(new_id(), None)):
        with pytest.raises(BlobNotFound):
            await bench.driver.mark_blob(location, mark_of(HELLO))


@contract
async def test_deleted_blobs_are_not_found(bench: Workbench) -> None:
    blobs = [await bench.put(HELLO), await bench.put_marked(HELLO), await bench.put_marked(b"")]
    await bench.driver.delete_blobs([blob.location for blob in blobs])
    for blob in blobs:
        with pytest.raises(BlobNotFound):
            await bench.driver.stat_blob(blob.location)


@contract
async def test_deleting_what_is_not_there_succeeds(bench: Workbench) -> None:
    kept, gone = await bench.put_marked(HELLO), await bench.put_marked(HELLO)
    never = [bench.driver.location_of(new_id(), mark) for mark in (None, mark_of(HELLO))]
    for _ in range(2):
        await bench.driver.delete_blobs([never[0], gone.location, never[1]])
    await bench.driver.delete_blobs([])
    assert set(await bench.blobs()) == {kept.location}


@contract
async def test_deleting_the_unmarked_location_deletes_what_was_marked_since(
    bench: Workbench,
) -> None:
    kept = await bench.put_marked(HELLO)
    unmarked = await bench.put(HELLO)
    await bench.driver.mark_blob(unmarked.location, mark_of(HELLO))
    await bench.driver.delete_blobs([unmarked.location])
    assert set(await bench.blobs()) == {kept.location}
