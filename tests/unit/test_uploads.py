"""What a client's calls on uploads promise, on every kind of store and with both ways to hash."""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry_storage.catalog import Catalog
from registry_storage.digest import Digest
from registry_storage.drivers.api import KiB, PartLimits
from registry_storage.errors import (
    BodyInterrupted,
    DigestInvalid,
    SizeInvalid,
    TooManyUploads,
    UploadConflict,
    UploadUnknown,
)
from registry_storage.policy import StorePolicy
from tests.unit.uploading import LIMITS, REPOSITORY, Bench, body, broken, held_back, open_bench

DATA = os.urandom(700 * KiB)
DIGEST = Digest.of(DATA)

CUTS = {
    "POST, PUT": [700 * KiB],
    "POST, PATCH, PUT": [700 * KiB, 0],
    "small chunks": [10, 20 * KiB, 0, 5, 679 * KiB],
    "a tail in the catalog": [30 * KiB, 670 * KiB, 0],
    "a tail in the driver": [90 * KiB, 610 * KiB, 0],
    "two tails in the driver": [80 * KiB, 10 * KiB, 0, 610 * KiB],
    "a chunk behind a part": [300 * KiB, 17, 400 * KiB - 17, 0],
    "as large as parts": [128 * KiB, 128 * KiB, 444 * KiB],
}


@pytest.fixture(params=[*LIMITS, "files, hashlib", "large parts, hashlib"])
def bench(request: pytest.FixtureRequest, catalog: Catalog) -> Bench:
    """A store of each kind, and two where hashes cannot be continued from their state."""
    limits, _, hashing = request.param.partition(", ")
    if hashing:
        request.getfixturevalue("plain_hashlib")
    return open_bench(catalog, LIMITS[limits])


@pytest.fixture
def files(catalog: Catalog) -> Bench:
    """A store that takes requests as they come."""
    return open_bench(catalog, LIMITS["files"])


async def push(bench: Bench, upload: str, data: bytes, sizes: list[int], digest: Digest) -> bytes:
    """Send `data` in chunks of these sizes, the last with the PUT; what the store then reads."""
    offset = 0
    for size in sizes[:-1]:
        chunk = data[offset : offset + size]
        offset += size
        assert await bench.append(upload, chunk, start=offset - size, size=size) == offset
    blob = await bench.finish(upload, digest, data[offset : offset + sizes[-1]])
    assert (blob.digest, blob.size) == (digest, len(data))
    return await bench.read(blob)


@pytest.mark.parametrize("sizes", CUTS.values(), ids=CUTS)
async def test_a_blob_comes_back_however_it_was_cut(bench: Bench, sizes: list[int]) -> None:
    data = DATA[: sum(sizes)]
    assert await push(bench, await bench.begin(), data, sizes, Digest.of(data)) == data
    assert await bench.value("SELECT count(*) FROM upload_parts") == 0
    await bench.assert_nothing_is_left()


async def test_an_empty_blob_is_a_blob(bench: Bench) -> None:
    assert await push(bench, await bench.begin(), b"", [0], Digest.of(b"")) == b""


@pytest.mark.parametrize("sizes", [[700 * KiB], [700 * KiB, 0], [100, 0], [90 * KiB, 0]])
async def test_sha512_need_not_be_announced(bench: Bench, sizes: list[int]) -> None:
    data = DATA[: sum(sizes)]
    digest = Digest.of(data, "sha512")
    assert await push(bench, await bench.begin(), data, sizes, digest) == data
    await bench.assert_nothing_is_left()


async def test_sha512_may_be_announced(bench: Bench) -> None:
    digest = Digest.of(DATA, "sha512")
    assert await push(bench, await bench.begin("sha512"), DATA, [300_000, 416_800], digest) == DATA


@pytest.mark.parametrize("sizes", [[700 * KiB], [700 * KiB, 0], [100, 0], [90 * KiB, 0]])
async def test_wrong_bytes_leave_nothing(bench: Bench, sizes: list[int]) -> None:
    upload = await bench.begin()
    with pytest.raises(DigestInvalid, match="push them again"):
        await push(bench, upload, DATA[: sum(sizes)], sizes, Digest.of(b"something else"))
    with pytest.raises(UploadUnknown):
        await bench.uploads.status(REPOSITORY, upload, "")
    assert await bench.value("SELECT count(*) FROM blobs") == 0
    assert await bench.value("SELECT count(*) FROM uploads") == 0
    await bench.assert_nothing_is_left()


@pytest.mark.parametrize("sizes", [[700 * KiB], [700 * KiB, 0], [100, 0]])
async def test_a_repeated_put_answers_the_same(bench: Bench, sizes: list[int]) -> None:
    data = DATA[: sum(sizes)]
    upload = await bench.begin()
    await push(bench, upload, data, sizes, Digest.of(data))
    blob = await bench.finish(upload, Digest.of(data), data[-sizes[-1] :])
    assert await bench.read(blob) == data
    with pytest.raises(UploadUnknown):
        await bench.finish(upload, Digest.of(b"other"))
    with pytest.raises(UploadUnknown):
        await bench.append(upload, b"more")
    await bench.assert_nothing_is_left()


async def test_a_second_upload_of_a_digest_gives_its_copy_away(bench: Bench) -> None:
    first = await bench.finish(await bench.begin(), DIGEST, DATA)
    second = await bench.finish(await bench.begin(), DIGEST, DATA)
    assert second.location == first.location
    assert await bench.value("SELECT count(*) FROM garbage") == 1
    assert await bench.rows("SELECT location FROM garbage") != [(first.location,)]


@pytest.mark.parametrize("size", [0, 10, 90 * KiB, 500 * KiB])
async def test_what_came_before_the_client_left_is_kept(bench: Bench, size: int) -> None:
    upload = await bench.begin()
    first, rest = (broken(data, BodyInterrupted()) for data in (DATA[:size], DATA[size:][:1000]))
    with pytest.raises(BodyInterrupted):
        await bench.uploads.append(REPOSITORY, upload, "", first)
    assert (await bench.uploads.status(REPOSITORY, upload, "")).offset == size
    with pytest.raises(BodyInterrupted):
        await bench.uploads.finish(REPOSITORY, upload, "", DIGEST, rest)
    assert (await bench.uploads.status(REPOSITORY, upload, "")).offset == size + 1000
    assert await bench.read(await bench.finish(upload, DIGEST, DATA[size + 1000 :])) == DATA


@pytest.mark.parametrize("error", [ConnectionResetError(), EOFError(), BodyInterrupted()])
async def test_bodies_tell_in_several_ways_that_the_client_left(
    files: Bench, error: Exception
) -> None:
    upload = await files.begin()
    with pytest.raises(type(error)):
        await files.uploads.append(REPOSITORY, upload, "", broken(DATA, error))
    assert (await files.uploads.status(REPOSITORY, upload, "")).offset == len(DATA)


async def test_a_body_that_fails_is_not_kept(files: Bench) -> None:
    upload = await files.begin()
    with pytest.raises(ZeroDivisionError):
        await files.uploads.append(REPOSITORY, upload, "", broken(DATA, ZeroDivisionError()))
    assert (await files.uploads.status(REPOSITORY, upload, "")).offset == 0


@pytest.mark.parametrize("size", [100, 600_000])
@pytest.mark.parametrize("error", [-1, 1])
async def test_announced_sizes_must_be_right(bench: Bench, size: int, error: int) -> None:
    upload = await bench.begin()
    with pytest.raises(SizeInvalid):
        await bench.append(upload, DATA[:size], size=size + error)
    kept = (await bench.uploads.status(REPOSITORY, upload, "")).offset
    assert await bench.read(await bench.finish(upload, DIGEST, DATA[kept:])) == DATA


async def test_a_chunk_out_of_order_is_refused_with_the_truth(bench: Bench) -> None:
    upload = await bench.begin()
    await bench.append(upload, DATA[:1000], start=0)
    for start in (0, 999, 1001):
        with pytest.raises(UploadConflict) as refused:
            await bench.append(upload, b"x", start=start)
        assert refused.value.offset == 1000
        with pytest.raises(UploadConflict):
            await bench.uploads.finish(REPOSITORY, upload, "", DIGEST, body(b"x"), start=start)
    assert await bench.read(await bench.finish(upload, DIGEST, DATA[1000:])) == DATA


@pytest.mark.parametrize("size", [10, 90 * KiB, 500 * KiB])
async def test_cancelling_leaves_nothing(bench: Bench, size: int) -> None:
    upload = await bench.begin()
    await bench.append(upload, DATA[:size])
    await bench.uploads.cancel(REPOSITORY, upload, "")
    for call in (
        bench.append(upload, b"x"),
        bench.finish(upload, DIGEST),
        bench.uploads.cancel(REPOSITORY, upload, ""),
        bench.uploads.status(REPOSITORY, upload, ""),
    ):
        with pytest.raises(UploadUnknown):
            await call
    assert await bench.value("SELECT count(*) FROM uploads") == 0
    await bench.assert_nothing_is_left()


@pytest.mark.parametrize("data", [b"", b"small", DATA], ids=len)
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_blob_can_be_put_without_a_session(
    bench: Bench, data: bytes, algorithm: str
) -> None:
    digest = Digest.of(data, algorithm)
    for pushed in (data, body(data)):
        blob = await bench.uploads.put(REPOSITORY, pushed, digest)
        assert blob.digest == digest
        assert await bench.read(blob) == data
    for pushed in (data, body(data)):
        with pytest.raises(DigestInvalid):
            await bench.uploads.put(REPOSITORY, pushed, Digest.of(b"other"))
    await bench.assert_nothing_is_left()


@pytest.mark.parametrize("data", [b"", DATA], ids=len)
async def test_a_blob_put_without_a_digest_gets_its_sha256(files: Bench, data: bytes) -> None:
    for pushed in (data, body(data)):
        assert (await files.uploads.put(REPOSITORY, pushed)).digest == Digest.of(data)


async def test_any_process_may_go_on_with_an_upload(bench: Bench, catalog: Catalog) -> None:
    """All that a session is lies in rows: a second instance over the same store goes on with it."""
    other = open_bench(catalog, bench.driver.limits, space=bench.space)
    upload = await bench.begin()
    for number, start in enumerate(range(0, len(DATA), 60_000)):
        await (other if number % 2 else bench).append(upload, DATA[start : start + 60_000])
    blob = await other.finish(upload, DIGEST)
    assert await bench.read(blob) == DATA
    assert (await bench.finish(upload, DIGEST)).location == blob.location
    await bench.assert_nothing_is_left()


async def test_a_blob_that_cannot_be_put_leaves_no_session(files: Bench) -> None:
    with pytest.raises(BodyInterrupted):
        await files.uploads.put(REPOSITORY, broken(DATA, BodyInterrupted()))
    await files.assert_nothing_is_left()
    assert await files.value("SELECT count(*) FROM uploads") == 0


async def test_a_stream_goes_on_where_there_is_no_room_for_whole_blobs(catalog: Catalog) -> None:
    bench = open_bench(catalog, LIMITS["files"], buffers=1)
    begun, go_on = asyncio.Event(), asyncio.Event()
    stalled = asyncio.create_task(
        bench.uploads.finish(
            REPOSITORY, await bench.begin(), "", DIGEST, held_back(DATA, begun, go_on)
        )
    )
    await begun.wait()
    assert await bench.read(await bench.finish(await bench.begin(), DIGEST, DATA)) == DATA
    go_on.set()
    await stalled


async def test_sessions_of_others_are_unknown(files: Bench) -> None:
    upload = await files.begin(subject="alice")
    for repository, subject in ((REPOSITORY, "bob"), (REPOSITORY, ""), ("other/app", "alice")):
        for call in (
            files.uploads.status(repository, upload, subject),
            files.uploads.append(repository, upload, subject, body(b"x")),
            files.uploads.finish(repository, upload, subject, DIGEST, body(DATA)),
            files.uploads.cancel(repository, upload, subject),
        ):
            with pytest.raises(UploadUnknown):
                await call
    assert (await files.uploads.status(REPOSITORY, upload, "alice")).offset == 0


async def test_a_subject_may_have_so_many_uploads_open(catalog: Catalog) -> None:
    bench = open_bench(catalog, policy=StorePolicy(max_open_uploads=2))
    mine = [await bench.begin(subject="alice") for _ in range(2)]
    with pytest.raises(TooManyUploads):
        await bench.begin(subject="alice")
    await bench.begin(subject="bob")
    await bench.uploads.cancel(REPOSITORY, mine[0], "alice")
    await bench.begin(subject="alice")
    for _ in range(3):
        await bench.begin()


async def test_each_chunk_extends_the_life_of_the_session(files: Bench) -> None:
    upload = await files.begin()
    await files.change("UPDATE uploads SET expires_at = 5")
    await files.append(upload, b"small")
    assert await files.value("SELECT min(expires_at) FROM uploads") != 5
    await files.change("UPDATE uploads SET expires_at = 5")
    await files.append(upload, DATA)
    assert await files.value("SELECT min(expires_at) FROM uploads") != 5


async def test_endless_small_chunks_are_refused_where_parts_are_large(catalog: Catalog) -> None:
    bench = open_bench(catalog, LIMITS["large parts"])
    upload = await bench.begin()
    for _ in range(100):
        await bench.append(upload, b"x")
    with pytest.raises(SizeInvalid, match="98304 bytes"):
        await bench.append(upload, b"x")
    status = await bench.uploads.status(REPOSITORY, upload, "")
    assert status.min_chunk_size == 96 * KiB
    assert await bench.append(upload, DATA) == status.offset + len(DATA)


async def test_a_blob_too_large_for_the_store_is_refused(catalog: Catalog) -> None:
    bench = open_bench(catalog, PartLimits(max_parts=3, preferred_size=100 * KiB, uniform=True))
    with pytest.raises(SizeInvalid, match="at most 3 parts"):
        await bench.finish(await bench.begin(), DIGEST, DATA)


async def test_bytes_wait_for_room_in_the_budget(catalog: Catalog) -> None:
    """Eight large pushes in room for one part: all succeed, one after the other."""
    bench = open_bench(catalog, LIMITS["large parts"], buffers=1)
    pushes = [bench.finish(await bench.begin(), DIGEST, DATA) for _ in range(8)]
    assert {blob.digest for blob in await asyncio.gather(*pushes)} == {DIGEST}


@given(
    limits=st.sampled_from(list(LIMITS)),
    sizes=st.lists(
        st.one_of(st.integers(0, 100), st.integers(60_000, 70_000), st.integers(90_000, 300_000)),
        min_size=1,
        max_size=6,
    ),
    algorithm=st.sampled_from(["sha256", "sha512"]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_chunks_make_the_blob(
    limits: str, sizes: list[int], algorithm: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def scenario() -> None:
        folder = tmp_path_factory.mktemp("any")
        catalog = await Catalog.open(f"sqlite:///{folder}/catalog.sqlite")
        bench = open_bench(catalog, LIMITS[limits])
        data = os.urandom(sum(sizes))
        upload = await bench.begin(algorithm)
        assert await push(bench, upload, data, sizes, Digest.of(data)) == data
        await bench.assert_nothing_is_left()
        await catalog.close()

    asyncio.run(scenario())
