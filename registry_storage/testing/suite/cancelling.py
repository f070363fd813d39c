"""A cancelled call leaves no half-published blob, and the store goes on working."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine

import pytest

from registry_storage.drivers.api import Buffer
from registry_storage.errors import BlobNotFound, UploadNotFound
from registry_storage.testing.bench import Workbench, contract
from registry_storage.testing.material import (
    at_once,
    content,
    cut,
    joined,
    mark_of,
    new_id,
    reached,
    read_all,
)

TURNS = 12
"""A call is cancelled after none, one, … of so many turns of the event loop."""


async def cancelled_after(turns: int, call: Coroutine[object, object, object]) -> None:
    """Run `call` for so many turns of the event loop, then cancel it; it may have ended before."""
    task = asyncio.ensure_future(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


@contract
async def test_a_cancelled_put_blob_publishes_all_or_nothing(bench: Workbench) -> None:
    data = content(min(1_000_000, at_once(bench.driver.limits)))
    for turns in range(TURNS):
        blob_id = new_id()
        location = bench.driver.location_of(blob_id, mark_of(data))
        await cancelled_after(turns, bench.driver.put_blob(blob_id, [data], mark_of(data)))
        try:
            assert await read_all(bench.driver, location) == data
        except BlobNotFound:
            assert location not in await bench.blobs()
        await bench.driver.put_blob(blob_id, [data], mark_of(data))
        assert await read_all(bench.driver, location) == data
        await bench.driver.delete_blobs([location])


@contract
async def test_a_cancelled_commit_publishes_all_or_nothing(bench: Workbench) -> None:
    data = cut(bench.driver.limits, 2)
    for turns in range(TURNS):
        handle = await bench.driver.begin_upload(new_id())
        parts = await bench.send_all(handle, data)
        await cancelled_after(turns, bench.driver.commit_upload(handle, parts, None))
        blob = await bench.driver.commit_upload(handle, parts, None)
        assert await read_all(bench.driver, blob.location) == joined(data)
        await bench.driver.delete_blobs([blob.location])


@contract
async def test_a_cancelled_part_does_not_count_and_leaves_nothing(bench: Workbench) -> None:
    for turns in range(TURNS):
        handle = await bench.driver.begin_upload(new_id())
        await cancelled_after(turns, bench.send(handle, 1, 0, content(3_000_000)))
        await bench.driver.abort_upload(handle)
        with pytest.raises(UploadNotFound):
            await bench.driver.commit_upload(handle, [], None)


@contract
async def test_a_part_cancelled_while_its_data_is_awaited_leaves_nothing(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    waiting = asyncio.Event()

    async def stalled() -> AsyncIterator[Buffer]:
        yield content(2_000_000)
        waiting.set()
        await asyncio.Event().wait()

    sending: asyncio.Task[object] = asyncio.create_task(
        bench.driver.put_part(handle, 1, 0, stalled(), 2_000_001)
    )
    await reached(waiting, sending)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    part = await bench.send(handle, 2, 0, b"hello, world")
    blob = await bench.driver.commit_upload(handle, [part], None)
    assert await read_all(bench.driver, blob.location) == b"hello, world"
