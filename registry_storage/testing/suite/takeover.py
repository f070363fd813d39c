"""Another process goes on: nothing but plain data is handed over, and any call may have died."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import pytest

from registry_storage.drivers.api import Driver, Mark, Part, StoredBlob
from registry_storage.drivers.wrappers.faults import Fault, FaultyDriver, Scripted, When
from registry_storage.errors import BlobNotFound
from registry_storage.testing.bench import Workbench, contract
from registry_storage.testing.harness import Capability
from registry_storage.testing.material import cut, joined, mark_of, new_id, read_all


class Crash(BaseException):
    """The process dies here."""


@dataclass(slots=True)
class Row:
    """What a catalog remembers of an upload: written after each answer, never before."""

    blob_id: str = field(default_factory=new_id)
    handle: str | None = None
    parts: list[Part] = field(default_factory=list)
    numbers: int = 0

    def through_json(self) -> Row:
        """As another process reads it."""
        plain = json.loads(json.dumps(asdict(self)))
        return Row(**{**plain, "parts": [Part(**part) for part in plain["parts"]]})


async def go_on(
    bench: Workbench, driver: Driver, row: Row, data: Sequence[bytes], mark: Mark | None
) -> StoredBlob:
    """Take the upload from wherever `row` says it is to its end."""
    if row.handle is None:
        row.handle = await driver.begin_upload(row.blob_id)
    for piece in data[len(row.parts) :]:
        row.numbers += 1
        offset = sum(part.size for part in row.parts)
        row.parts.append(await bench.send(row.handle, row.numbers, offset, piece, driver))
    return await driver.commit_upload(row.handle, row.parts, mark)


def deaths(calls: int) -> Iterator[tuple[int, When]]:
    """Before and after each of so many calls."""
    for call in range(calls):
        yield from ((call, When.BEFORE), (call, When.AFTER))


@contract
async def test_a_second_instance_goes_on_after_a_json_round_trip(bench: Workbench) -> None:
    bench.needs(Capability.SECOND_INSTANCE)
    other, data = await bench.another(), cut(bench.driver.limits, 4)
    row = Row(handle=await bench.driver.begin_upload(new_id()))
    for number, piece in enumerate(data, 1):
        driver = other if number % 2 else bench.driver
        row = row.through_json()
        assert row.handle is not None
        offset = sum(part.size for part in row.parts)
        row.parts.append(await bench.send(row.handle, number, offset, piece, driver))
    row = row.through_json()
    blob = await other.commit_upload(str(row.handle), row.parts, mark_of(joined(data)))
    assert await read_all(bench.driver, blob.location) == joined(data)


@contract
async def test_what_one_instance_publishes_another_serves_lists_and_deletes(
    bench: Workbench,
) -> None:
    bench.needs(Capability.SECOND_INSTANCE)
    other, blob = await bench.another(), await bench.put_marked(b"hello, world")
    assert await other.stat_blob(blob.location) == blob
    assert [found async for found in other.list_blobs()] == [blob]
    await other.delete_blobs([blob.location])
    with pytest.raises(BlobNotFound):
        await bench.driver.stat_blob(blob.location)


@contract
async def test_an_upload_survives_a_crash_before_and_after_every_call(bench: Workbench) -> None:
    bench.needs(Capability.SECOND_INSTANCE)
    data = cut(bench.driver.limits, 3)
    other = await bench.another()
    for call, when in deaths(len(data) + 2):
        for mark in (None, mark_of(joined(data))):
            row = Row()
            plan = Scripted({call: Fault(when, Crash)})
            with pytest.raises(Crash):
                await go_on(bench, FaultyDriver(bench.driver, plan), row, data, mark)
            blob = await go_on(bench, other, row.through_json(), data, mark)
            assert await read_all(other, blob.location) == joined(data), (call, when)
            assert set(await bench.blobs()) == {blob.location}
            await other.delete_blobs([blob.location])
    await _abort_what_a_lost_answer_left(bench)


@contract
async def test_an_abort_survives_a_crash_before_and_after_it(bench: Workbench) -> None:
    bench.needs(Capability.SECOND_INSTANCE)
    other = await bench.another()
    for _, when in deaths(1):
        handle = await bench.driver.begin_upload(new_id())
        await bench.send_all(handle, cut(bench.driver.limits, 2))
        dying = FaultyDriver(bench.driver, Scripted({0: Fault(when, Crash)}))
        with pytest.raises(Crash):
            await dying.abort_upload(handle)
        await other.abort_upload(handle)
        assert await bench.uploads() == []


@contract
async def test_marking_survives_a_crash_before_and_after_it(bench: Workbench) -> None:
    bench.needs(Capability.SECOND_INSTANCE)
    other, data = await bench.another(), b"hello, world"
    for _, when in deaths(1):
        unmarked = await bench.put(data)
        dying = FaultyDriver(bench.driver, Scripted({0: Fault(when, Crash)}))
        with pytest.raises(Crash):
            await dying.mark_blob(unmarked.location, mark_of(data))
        marked = await other.mark_blob(unmarked.location, mark_of(data))
        assert list(await bench.blobs()) == [marked.location]
        await other.delete_blobs([marked.location])


@contract
async def test_put_blob_survives_a_crash_before_and_after_it(bench: Workbench) -> None:
    bench.needs(Capability.SECOND_INSTANCE)
    other, data = await bench.another(), b"hello, world"
    for _, when in deaths(1):
        blob_id = new_id()
        dying = FaultyDriver(bench.driver, Scripted({0: Fault(when, Crash)}))
        with pytest.raises(Crash):
            await dying.put_blob(blob_id, [data], mark_of(data))
        blob = await other.put_blob(blob_id, [data], mark_of(data))
        assert list(await bench.blobs()) == [blob.location]
        await other.delete_blobs([blob.location])


async def _abort_what_a_lost_answer_left(bench: Workbench) -> None:
    """An upload whose handle reached nobody can still be found and aborted."""
    for handle in await bench.uploads():
        await bench.driver.abort_upload(handle)
    assert await bench.uploads() == []
