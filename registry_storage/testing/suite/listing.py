"""`list_blobs` and `list_uploads`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from registry_storage.drivers.api import BlobKind
from registry_storage.testing.bench import Workbench, contract
from registry_storage.testing.harness import Capability
from registry_storage.testing.material import content, cut, mark_of, new_id

HELLO = b"hello, world"


@contract
async def test_an_empty_store_lists_nothing(readable: Workbench) -> None:
    assert await readable.blobs() == {}
    assert await readable.uploads() == []


@contract
async def test_list_blobs_tells_what_stat_blob_tells(readable: Workbench) -> None:
    for kind in BlobKind:
        for algorithm in ("sha256", "sha512"):
            await readable.put(HELLO, mark_of(HELLO, kind, algorithm))
    await readable.put(HELLO)
    listed = await readable.blobs()
    assert len(listed) == 2 * len(BlobKind) + 1
    for location, blob in listed.items():
        assert await readable.driver.stat_blob(location) == blob


@contract
async def test_list_blobs_with_a_kind_gives_only_what_is_marked_so(readable: Workbench) -> None:
    stored = {kind: await readable.put(HELLO, mark_of(HELLO, kind)) for kind in BlobKind}
    await readable.put(HELLO)
    for kind, blob in stored.items():
        assert [found async for found in readable.driver.list_blobs(kind)] == [blob]


@contract
async def test_list_blobs_gives_many_blobs_once_each(readable: Workbench) -> None:
    data = [content(50, seed) for seed in range(150)]
    stored = await asyncio.gather(*[readable.put_marked(one) for one in data])
    assert set(await readable.blobs()) == {blob.location for blob in stored}


@contract
async def test_what_exists_throughout_a_listing_appears_once(bench: Workbench) -> None:
    stored = await asyncio.gather(*[bench.put_marked(content(50, seed)) for seed in range(120)])
    stable, passing = {blob.location for blob in stored[:60]}, stored[60:]
    seen = []
    async for blob in bench.driver.list_blobs():
        seen.append(blob.location)
        if passing:
            await bench.driver.delete_blobs([passing.pop().location])
            await bench.put_marked(content(50, 200 + len(seen)))
    assert sorted(set(seen) & stable) == sorted(stable)
    assert len(seen) == len(set(seen))


@contract
async def test_a_blob_marked_since_is_listed_once_with_its_mark(bench: Workbench) -> None:
    unmarked = await bench.put(HELLO)
    marked = await bench.driver.mark_blob(unmarked.location, mark_of(HELLO))
    assert list((await bench.blobs()).values()) == [marked]


@contract
async def test_list_blobs_gives_no_upload_under_way(bench: Workbench) -> None:
    handle = await bench.driver.begin_upload(new_id())
    await bench.send(handle, 1, 0, HELLO)
    assert await bench.blobs() == {}


@contract
async def test_list_uploads_gives_the_handles_of_begin_upload(bench: Workbench) -> None:
    bench.needs(Capability.LISTS_UPLOADS)
    bare, sent = [await bench.driver.begin_upload(new_id()) for _ in range(2)]
    await bench.send(sent, 1, 0, HELLO)
    assert sorted(await bench.uploads()) == sorted([bare, sent])


@contract
async def test_list_uploads_leaves_out_what_is_published(bench: Workbench) -> None:
    bench.needs(Capability.LISTS_UPLOADS)
    for mark in (None, mark_of(HELLO)):
        handle = await bench.driver.begin_upload(new_id())
        part = await bench.send(handle, 1, 0, HELLO)
        await bench.driver.commit_upload(handle, [part], mark)
    assert await bench.uploads() == []


@contract
async def test_list_uploads_gives_only_what_was_begun_before(bench: Workbench) -> None:
    bench.needs(Capability.LISTS_UPLOADS)
    await bench.driver.begin_upload(new_id())
    long_ago = datetime.now(UTC) - timedelta(days=1)
    assert [handle async for handle in bench.driver.list_uploads(long_ago)] == []


@contract
async def test_list_uploads_gives_an_old_upload_that_is_still_growing(bench: Workbench) -> None:
    bench.needs(Capability.LISTS_UPLOADS)
    handle = await bench.driver.begin_upload(new_id())
    parts = cut(bench.driver.limits, 3)
    await bench.send_all(handle, parts)
    assert await bench.uploads() == [handle]
