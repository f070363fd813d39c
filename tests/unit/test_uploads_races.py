"""Two requests on one upload at the same time: one goes on, and the bytes are right."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import pytest

from registry_storage.catalog import Catalog, upload_ends, uploads
from registry_storage.catalog.blobs import BlobRow
from registry_storage.digest import Digest
from registry_storage.drivers.api import (
    BlobKind,
    Buffer,
    Buffers,
    Driver,
    Handle,
    KiB,
    Mark,
    Part,
    StoredBlob,
)
from registry_storage.drivers.wrappers.base import DelegatingDriver
from registry_storage.errors import RegistryError, UploadConflict, UploadUnknown
from tests.unit.uploading import LIMITS, REPOSITORY, Bench, body, held_back, open_bench

DATA = os.urandom(400 * KiB)
DIGEST = Digest.of(DATA)


@pytest.fixture(params=["files", "large parts", "files, hashlib"])
def benches(request: pytest.FixtureRequest, catalog: Catalog) -> tuple[Bench, Bench]:
    """One store, seen by two instances as two processes would."""
    limits, _, hashing = request.param.partition(", ")
    if hashing:
        request.getfixturevalue("plain_hashlib")
    first = open_bench(catalog, LIMITS[limits])
    return first, open_bench(catalog, LIMITS[limits], space=first.space)


async def outcome(call: Coroutine[Any, Any, Any]) -> Any:
    """What the call returns, or the error of ours that it raises."""
    try:
        return await call
    except RegistryError as error:
        return error


@pytest.mark.parametrize("size", [100, 90 * KiB, 300 * KiB])
async def test_of_two_patches_at_one_offset_one_is_kept(
    benches: tuple[Bench, Bench], size: int
) -> None:
    one, other = benches
    upload = await one.begin()
    chunks = [DATA[:size], bytes(size)]
    answers = await asyncio.gather(
        *(outcome(b.append(upload, c, start=0)) for b, c in zip(benches, chunks, strict=True))
    )
    assert sorted(map(type, answers), key=str) == [int, UploadConflict]
    kept = chunks[answers.index(size)]
    refused = next(answer for answer in answers if isinstance(answer, UploadConflict))
    assert 0 < refused.offset <= size, "what was held when it was refused"
    blob = await other.finish(upload, Digest.of(kept + b"end"), b"end")
    assert await one.read(blob) == kept + b"end"
    await other.uploads.close()
    await one.assert_nothing_is_left()


@pytest.mark.parametrize("sizes", [(90 * KiB, 0), (400 * KiB, 0)])
async def test_empty_puts_of_one_upload_all_succeed(
    benches: tuple[Bench, Bench], sizes: tuple[int, int]
) -> None:
    answers = await puts_at_once(benches, *sizes)
    assert len({blob.location for blob in answers}) == 1


@pytest.mark.parametrize("sizes", [(0, 100), (0, 400 * KiB), (300 * KiB, 100 * KiB)])
async def test_of_puts_with_a_body_one_succeeds_and_the_others_may_be_told_to_ask_again(
    benches: tuple[Bench, Bench], sizes: tuple[int, int]
) -> None:
    answers = await puts_at_once(benches, *sizes)
    assert len({blob.location for blob in answers if isinstance(blob, BlobRow)}) == 1
    assert {type(answer) for answer in answers} <= {BlobRow, UploadConflict}


async def puts_at_once(benches: tuple[Bench, Bench], first: int, last: int) -> list[Any]:
    """The outcomes of three PUTs at the same time; the blob is there, and nothing else."""
    data = DATA[: first + last]
    one, other = benches
    upload = await one.begin()
    await one.append(upload, data[:first])
    answers = await asyncio.gather(
        *(outcome(b.finish(upload, Digest.of(data), data[first:])) for b in (one, other, one))
    )
    assert await one.read(await other.finish(upload, Digest.of(data))) == data
    await other.uploads.close()
    await one.assert_nothing_is_left()
    return answers


async def test_a_request_thought_dead_cannot_overwrite_the_one_that_took_its_place(
    benches: tuple[Bench, Bench],
) -> None:
    one, other = benches
    upload = await one.begin()
    begun, go_on = asyncio.Event(), asyncio.Event()
    zombie = asyncio.create_task(
        outcome(one.uploads.append(REPOSITORY, upload, "", held_back(bytes(120_000), begun, go_on)))
    )
    await begun.wait()
    await other.append(upload, DATA[:120_000])
    go_on.set()
    assert isinstance(await zombie, UploadConflict)
    assert await one.read(await other.finish(upload, DIGEST, DATA[120_000:])) == DATA


async def test_a_part_that_comes_after_the_commit_is_refused(
    benches: tuple[Bench, Bench],
) -> None:
    one, other = benches
    upload = await one.begin()
    begun, go_on = asyncio.Event(), asyncio.Event()
    zombie = asyncio.create_task(
        outcome(one.uploads.append(REPOSITORY, upload, "", held_back(bytes(120_000), begun, go_on)))
    )
    await begun.wait()
    blob = await other.finish(upload, DIGEST, DATA)
    go_on.set()
    assert isinstance(await zombie, UploadUnknown)
    assert await one.read(blob) == DATA
    await other.uploads.close()
    await one.assert_nothing_is_left()


async def test_a_put_with_another_digest_cannot_take_over(benches: tuple[Bench, Bench]) -> None:
    one, other = benches
    upload = await one.begin()
    await one.append(upload, DATA)
    await one.change(f"UPDATE uploads SET state = 'committing', digest = '{DIGEST}'")
    with pytest.raises(UploadConflict):
        await other.finish(upload, Digest.of(b"other"))
    with pytest.raises(UploadConflict):
        await other.append(upload, b"more")


async def test_many_clients_on_one_upload_make_the_blob(benches: tuple[Bench, Bench]) -> None:
    """Each sends from where it believes the upload to be, and believes what it is told."""
    upload = await benches[0].begin()

    async def client(bench: Bench) -> None:
        offset = 0
        while offset < len(DATA):
            chunk = DATA[offset : offset + 70_000]
            try:
                offset = await bench.append(upload, chunk, start=offset)
            except UploadConflict as refused:
                offset = refused.offset

    await asyncio.gather(*(client(bench) for bench in benches * 3))
    assert await benches[0].read(await benches[1].finish(upload, DIGEST)) == DATA


@pytest.mark.parametrize("size", [100, 400 * KiB])
async def test_cancelling_against_finishing_leaves_one_of_both(
    benches: tuple[Bench, Bench], size: int
) -> None:
    one, other = benches
    data = DATA[:size]
    for _ in range(5):
        upload = await one.begin()
        blob, cancelled = await asyncio.gather(
            outcome(one.finish(upload, Digest.of(data), data)),
            outcome(other.uploads.cancel(REPOSITORY, upload, "")),
        )
        assert isinstance(blob, BlobRow) != (cancelled is None)
    await other.uploads.close()
    await one.assert_nothing_is_left()


@pytest.mark.parametrize("size", [100, 400 * KiB])
async def test_a_cancelled_request_leaves_a_session_that_goes_on(
    benches: tuple[Bench, Bench], size: int
) -> None:
    one, other = benches
    data = DATA[:size]
    for steps in range(1, 40, 4):
        upload = await one.begin()
        request = asyncio.create_task(one.finish(upload, Digest.of(data), data))
        for _ in range(steps):
            await asyncio.sleep(0.0005)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        blob = await resumed(other, upload, data)
        assert await one.read(blob) == data
    await one.uploads.close()


async def resumed(bench: Bench, upload: str, data: bytes) -> BlobRow:
    """Go on as a client does: from where the upload is said to stand, until it is done."""
    offset = 0
    while True:
        try:
            rest = body(data[offset:])
            digest = Digest.of(data)
            return await bench.uploads.finish(REPOSITORY, upload, "", digest, rest, start=offset)
        except UploadConflict as refused:
            offset = refused.offset


@pytest.mark.parametrize("more", [100, 120 * KiB])
async def test_no_blob_is_marked_that_holds_bytes_of_another_request(
    benches: tuple[Bench, Bench], more: int
) -> None:
    """While the body of a PUT comes in, a PATCH adds a tail, or makes a part of the first one."""
    one, other = benches
    marked: list[tuple[Mark | None, bytes]] = []

    class Watched(DelegatingDriver):
        async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
            stored = await self.inner.put_blob(blob_id, data, mark)
            marked.append((mark, await read_all(self.inner, stored.location)))
            return stored

    watched = open_bench(one.catalog, one.driver.limits, space=one.space, wrap=Watched)
    upload = await one.begin()
    await one.append(upload, DATA[:100])

    async def overtaken() -> AsyncIterator[Buffer]:
        yield DATA[100:120]
        await other.append(upload, bytes(more))

    digest = Digest.of(DATA[:120])
    with pytest.raises(UploadConflict) as refused:
        await watched.uploads.finish(REPOSITORY, upload, "", digest, overtaken())
    assert refused.value.offset == 100 + more, "what another request added is still there"
    assert all(mark is None or Digest.of(data) == mark.digest for mark, data in marked)


async def read_all(driver: Driver, location: str) -> bytes:
    async with driver.read_blob(location) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_who_takes_over_finds_the_blob_marked_but_not_linked(
    catalog: Catalog, plain_hashlib: None
) -> None:
    """Marked by another, the blob is where neither the upload nor its unmarked location was."""

    class Overtaken(DelegatingDriver):
        async def commit_upload(
            self, handle: Handle, parts: Sequence[Part], mark: Mark | None
        ) -> StoredBlob:
            session = await catalog.read(uploads.load, REPOSITORY, upload, "")
            claim = await catalog.read(upload_ends.load_claim, session)
            stored = await self.inner.commit_upload(handle, parts, mark)
            await catalog.write(upload_ends.remember_location, claim, stored.location)
            await self.inner.mark_blob(stored.location, Mark(BlobKind.BLOB, DIGEST))
            return await self.inner.commit_upload(handle, parts, mark)

    bench = open_bench(catalog, LIMITS["files"], wrap=Overtaken)
    upload = await bench.begin()
    await bench.append(upload, DATA)
    assert await bench.read(await bench.finish(upload, DIGEST)) == DATA
    await bench.assert_nothing_is_left()
