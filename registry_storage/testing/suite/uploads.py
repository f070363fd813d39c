"""`begin_upload`, `put_part`, `commit_upload`, `abort_upload`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest

from registry_storage.drivers.api import BlobKind, Buffer, Mark, Part, StoredBlob
from registry_storage.errors import BlobNotFound, DriverError, PartLost, UploadNotFound
from registry_storage.testing.bench import Workbench, contract
from registry_storage.testing.material import (
    broken_stream,
    content,
    cut,
    joined,
    mark_of,
    new_id,
    part_data,
    reached,
    read_all,
    stream,
)

HELLO = b"hello, world"


class ClientLeft(Exception):
    """What a request's stream may raise."""


async def uploaded(bench: Workbench, parts: Sequence[bytes], mark: Mark | None) -> StoredBlob:
    """One upload from its beginning to its end."""
    handle = await bench.driver.begin_upload(new_id())
    return await bench.driver.commit_upload(handle, await bench.send_all(handle, parts), mark)


@contract
async def test_an_upload_of_one_part_is_its_bytes(bench: Workbench) -> None:
    blob = await uploaded(bench, [HELLO], mark_of(HELLO))
    assert await read_all(bench.driver, blob.location) == HELLO


@contract
async def test_an_upload_of_several_parts_is_their_bytes_in_order(bench: Workbench) -> None:
    parts = cut(bench.driver.limits, 4)
    blob = await uploaded(bench, parts, None)
    assert await read_all(bench.driver, blob.location) == joined(parts)


@contract
async def test_commit_answers_location_size_and_mark(bench: Workbench) -> None:
    for mark in (None, mark_of(HELLO), mark_of(HELLO, BlobKind.MANIFEST, "sha512")):
        blob_id = new_id()
        handle = await bench.driver.begin_upload(blob_id)
        parts = await bench.send_all(handle, [HELLO])
        blob = await bench.driver.commit_upload(handle, parts, mark)
        assert blob.location == bench.driver.location_of(blob_id, mark)
        assert (blob.size, blob.mark) == (len(HELLO), mark)
        assert await bench.driver.stat_blob(blob.location) == blob


@contract
async def test_put_part_answers_number_offset_and_size(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    part = await bench.send(handle, 7, 123, HELLO)
    assert (part.number, part.offset, part.size) == (7, 123, len(HELLO))


@contract
async def test_an_upload_without_parts_is_the_empty_blob(bench: Workbench) -> None:
    blob = await uploaded(bench, [], mark_of(b""))
    assert blob.size == 0
    assert await read_all(bench.driver, blob.location) == b""


@contract
async def test_parts_around_every_limit_are_taken(bench: Workbench) -> None:
    limits = bench.driver.limits
    around = {limits.min_size, limits.min_size + 1}
    if limits.preferred_size is not None:
        around |= {limits.preferred_size + delta for delta in (-1, 0, 1)}
    if limits.max_size is not None:
        around |= {limits.max_size - 1, limits.max_size}
    for size in sorted(around):
        if limits.min_size <= size <= (limits.max_size or size) and size < bench.harness.largest:
            parts = [content(size), HELLO]
            blob = await uploaded(bench, parts, None)
            assert await read_all(bench.driver, blob.location) == joined(parts), size


@contract
async def test_the_largest_part_number_is_taken_and_gaps_are_allowed(bench: Workbench) -> None:
    first, last = cut(bench.driver.limits, 2)
    handle = await bench.driver.begin_upload(new_id())
    parts = [
        await bench.send(handle, 3, 0, first),
        await bench.send(handle, bench.driver.limits.max_parts or 10**6, len(first), last),
    ]
    blob = await bench.driver.commit_upload(handle, parts, None)
    assert await read_all(bench.driver, blob.location) == first + last


@contract
async def test_a_part_may_come_without_its_size_where_it_is_not_needed(bench: Workbench) -> None:
    if bench.driver.limits.needs_size:
        pytest.skip("needs to know a part's size")
    handle = await bench.driver.begin_upload(new_id())
    data = part_data(bench.driver.limits, HELLO)
    part = await bench.driver.put_part(handle, 1, 0, data, None)
    blob = await bench.driver.commit_upload(handle, [part], None)
    assert await read_all(bench.driver, blob.location) == HELLO


@contract
async def test_parts_may_be_sent_at_the_same_time(bench: Workbench) -> None:
    data = cut(bench.driver.limits, 4)
    handle = await bench.driver.begin_upload(new_id())
    offsets = [len(joined(data[:n])) for n in range(len(data))]
    sending = [bench.send(handle, n + 1, offsets[n], data[n]) for n in range(len(data))]
    parts = await asyncio.gather(*sending)
    blob = await bench.driver.commit_upload(handle, parts, None)
    assert await read_all(bench.driver, blob.location) == joined(data)


@contract
async def test_data_that_ends_early_makes_a_shorter_part_that_counts(bench: Workbench) -> None:
    if bench.driver.limits.needs_size:
        pytest.skip("is handed whole parts only")
    handle = await bench.driver.begin_upload(new_id())
    part = await bench.driver.put_part(handle, 1, 0, stream(HELLO), None)
    assert part.size == len(HELLO)
    blob = await bench.driver.commit_upload(handle, [part], None)
    assert await read_all(bench.driver, blob.location) == HELLO


@contract
async def test_data_that_raises_makes_no_part_and_its_error_passes_through(
    bench: Workbench,
) -> None:
    handle = await bench.driver.begin_upload(new_id())
    data = content(3_000_000)
    for sent in (b"", data[:10], data):
        with pytest.raises(ClientLeft):
            await bench.driver.put_part(
                handle, 1, 0, broken_stream(sent, ClientLeft()), len(data) + 1
            )
    part = await bench.send(handle, 1, 0, HELLO)
    blob = await bench.driver.commit_upload(handle, [part], mark_of(HELLO))
    assert await read_all(bench.driver, blob.location) == HELLO


@contract
async def test_a_part_that_was_not_named_in_the_commit_is_left_out(bench: Workbench) -> None:
    first, unnamed, last = [*cut(bench.driver.limits, 2)[:1], HELLO, b"the end"]
    handle = await bench.driver.begin_upload(new_id())
    parts = await bench.send_all(handle, [first])
    await bench.send(handle, 2, len(first), unnamed)
    parts.append(await bench.send(handle, 3, len(first), last))
    blob = await bench.driver.commit_upload(handle, parts, None)
    assert await read_all(bench.driver, blob.location) == first + last


@contract
async def test_nothing_is_published_before_the_commit(bench: Workbench) -> None:
    blob_id = new_id()
    handle = await bench.driver.begin_upload(blob_id)
    await bench.send(handle, 1, 0, HELLO)
    for mark in (None, mark_of(HELLO)):
        with pytest.raises(BlobNotFound):
            await bench.driver.stat_blob(bench.driver.location_of(blob_id, mark))


@contract
async def test_commit_repeated_answers_the_same(bench: Workbench) -> None:
    for mark in (None, mark_of(HELLO)):
        for data in ([HELLO], [*cut(bench.driver.limits, 2)]):
            handle = await bench.driver.begin_upload(new_id())
            parts = await bench.send_all(handle, data)
            blob = await bench.driver.commit_upload(handle, parts, mark)
            assert await bench.driver.commit_upload(handle, parts, mark) == blob
            assert await read_all(bench.driver, blob.location) == joined(data)


@contract
async def test_commit_repeated_at_the_same_time_answers_the_same(bench: Workbench) -> None:
    for data in ([HELLO], cut(bench.driver.limits, 3)):
        handle = await bench.driver.begin_upload(new_id())
        parts = await bench.send_all(handle, data)
        commits = [bench.driver.commit_upload(handle, parts, None) for _ in range(6)]
        answers = await asyncio.gather(*commits)
        assert len({blob.location for blob in answers}) == 1
        assert await read_all(bench.driver, answers[0].location) == joined(data)


@contract
async def test_two_uploads_of_equal_bytes_are_two_blobs(bench: Workbench) -> None:
    uploads = [uploaded(bench, [HELLO], mark_of(HELLO)) for _ in range(2)]
    first, second = await asyncio.gather(*uploads)
    assert first.location != second.location
    await bench.driver.delete_blobs([second.location])
    assert await read_all(bench.driver, first.location) == HELLO


@contract
async def test_a_commit_repeated_after_marking_publishes_nothing_new(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    parts = await bench.send_all(handle, cut(bench.driver.limits, 2))
    unmarked = await bench.driver.commit_upload(handle, parts, None)
    mark = mark_of(await read_all(bench.driver, unmarked.location))
    marked = await bench.driver.mark_blob(unmarked.location, mark)
    await _repeat_in_vain(bench, handle, parts)
    assert list(await bench.blobs()) == [marked.location]


@contract
async def test_a_commit_repeated_after_deletion_brings_nothing_back(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    parts = await bench.send_all(handle, [HELLO])
    blob = await bench.driver.commit_upload(handle, parts, None)
    await bench.driver.delete_blobs([blob.location])
    await _repeat_in_vain(bench, handle, parts)
    assert await bench.blobs() == {}


async def _repeat_in_vain(bench: Workbench, handle: str, parts: Sequence[Part]) -> None:
    with suppress(BlobNotFound, UploadNotFound):
        await bench.driver.commit_upload(handle, parts, None)


@contract
async def test_a_part_that_was_never_stored_is_part_lost(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    other = await bench.driver.begin_upload(new_id())
    await bench.send(handle, 1, 0, HELLO)
    foreign = await bench.send(other, 2, 0, b"part of another upload")
    with pytest.raises(PartLost):
        await bench.driver.commit_upload(handle, [foreign], None)
    assert await bench.blobs() == {}


@contract
async def test_a_zombie_with_the_same_number_cannot_change_a_part(bench: Workbench) -> None:
    winners, zombies = b"what the client was told", b"what a dead request sent"
    handle = await bench.driver.begin_upload(new_id())
    part = await bench.send(handle, 1, 0, winners)
    await bench.send(handle, 1, 0, zombies)
    try:
        blob = await bench.driver.commit_upload(handle, [part], None)
    except PartLost:
        assert await bench.blobs() == {}
    else:
        assert await read_all(bench.driver, blob.location) == winners


@contract
async def test_a_part_repeated_with_the_same_bytes_counts(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    await bench.send(handle, 1, 0, HELLO)
    part = await bench.send(handle, 1, 0, HELLO)
    blob = await bench.driver.commit_upload(handle, [part], mark_of(HELLO))
    assert await read_all(bench.driver, blob.location) == HELLO


@contract
async def test_abort_forgets_the_upload(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    parts = await bench.send_all(handle, cut(bench.driver.limits, 3))
    await bench.driver.abort_upload(handle)
    with pytest.raises(UploadNotFound):
        await bench.driver.commit_upload(handle, parts, None)
    assert await bench.uploads() == []
    assert await bench.blobs() == {}


@contract
async def test_abort_succeeds_when_there_is_nothing_to_forget(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    for _ in range(2):
        await bench.driver.abort_upload(handle)


@contract
async def test_abort_of_a_committed_upload_keeps_the_blob(bench: Workbench) -> None:
    for mark in (None, mark_of(HELLO)):
        handle = await bench.driver.begin_upload(new_id())
        parts = await bench.send_all(handle, [HELLO])
        blob = await bench.driver.commit_upload(handle, parts, mark)
        await bench.driver.abort_upload(handle)
        assert await read_all(bench.driver, blob.location) == HELLO


@contract
async def test_put_part_after_abort_or_commit_is_upload_not_found(bench: Workbench) -> None:
    aborted = await bench.driver.begin_upload(new_id())
    await bench.driver.abort_upload(aborted)
    committed = await bench.driver.begin_upload(new_id())
    parts = await bench.send_all(committed, [HELLO])
    await bench.driver.commit_upload(committed, parts, None)
    for handle in (aborted, committed):
        with pytest.raises(UploadNotFound):
            await bench.send(handle, 2, len(HELLO), HELLO)


@contract
async def test_a_part_under_way_during_the_abort_leaves_nothing(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    half, aborted = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[Buffer]:
        yield content(2_000_000)
        half.set()
        await aborted.wait()
        yield HELLO

    sending: asyncio.Task[object] = asyncio.create_task(
        bench.driver.put_part(handle, 1, 0, slow(), 2_000_000 + len(HELLO))
    )
    await reached(half, sending)
    await bench.driver.abort_upload(handle)
    aborted.set()
    with pytest.raises(DriverError):
        await sending
    assert await bench.uploads() == []
