"""What the suite cannot know of the filesystem driver: names, modes, links, crashes, races."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from registry_storage.drivers.api import Buffer, Handle, MiB, Part, StoredBlob
from registry_storage.drivers.filesystem import FilesystemDriver, durable
from registry_storage.drivers.filesystem.layout import parse_location
from registry_storage.drivers.filesystem.store import FileStore
from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    DriverError,
    NoSpace,
    PartLost,
    UploadNotFound,
)
from registry_storage.testing.material import content, mark_of, new_id, read_all, stream

HELLO = b"hello, world"
TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest_asyncio.fixture
async def driver(tmp_path: Path) -> AsyncIterator[FilesystemDriver]:
    driver = FilesystemDriver(tmp_path / "root")
    await driver.start()
    yield driver
    await driver.close()


def root_of(driver: FilesystemDriver) -> Path:
    return driver.blob_path(driver.location_of(new_id(), None)).parent.parent


async def uploaded(driver: FilesystemDriver, *pieces: bytes) -> tuple[Handle, list[Part]]:
    handle = await driver.begin_upload(new_id())
    parts = [await driver.put_part(handle, n, 0, stream(p), None) for n, p in enumerate(pieces, 1)]
    return handle, parts


# Names and modes


async def test_the_layout_is_as_documented(driver: FilesystemDriver) -> None:
    blob_id, mark = new_id(), mark_of(HELLO)
    unmarked = await driver.put_blob(blob_id, [HELLO], None)
    assert unmarked.location == f"unmarked/{blob_id}"
    marked = await driver.mark_blob(unmarked.location, mark)
    shard = mark.digest.hex[:2]
    assert marked.location == f"blobs/sha256/{shard}/{mark.digest.hex}.{blob_id}"
    assert driver.blob_path(marked.location) == root_of(driver) / marked.location


async def test_files_and_folders_are_for_their_owner_only(driver: FilesystemDriver) -> None:
    await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
    await uploaded(driver, HELLO)
    for path in [root_of(driver), *root_of(driver).rglob("*")]:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


async def test_what_else_lies_in_the_root_is_left_alone(driver: FilesystemDriver) -> None:
    root = root_of(driver)
    others = [root / "catalog.sqlite", root / "catalog.lock", root / "unmarked" / "notes.txt"]
    for path in others:
        path.write_text("not ours")
    (root / "uploads" / "somebody").mkdir()
    assert [blob async for blob in driver.list_blobs()] == []
    assert [handle async for handle in driver.list_uploads(TOMORROW)] == []
    await driver.delete_blobs(["catalog.sqlite", "unmarked/notes.txt", "unmarked/../catalog.lock"])
    await driver.abort_upload("somebody")
    assert all(path.exists() for path in others)


async def test_foreign_data_is_a_distribution_tree(driver: FilesystemDriver) -> None:
    (root_of(driver) / "docker" / "registry" / "v2" / "blobs").mkdir(parents=True)
    assert await driver.describe() == "a distribution tree"


# Links


async def test_a_folder_replaced_by_a_link_is_not_followed(
    driver: FilesystemDriver, tmp_path: Path
) -> None:
    mark = mark_of(HELLO)
    outside = tmp_path / "outside"
    outside.mkdir()
    shard = root_of(driver) / "blobs" / "sha256" / mark.digest.hex[:2]
    shard.symlink_to(outside)
    with pytest.raises(DriverError, match="link"):
        await driver.put_blob(new_id(), [HELLO], mark)
    assert list(outside.iterdir()) == []


async def test_a_file_replaced_by_a_link_is_not_served(
    driver: FilesystemDriver, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    blob = await driver.put_blob(new_id(), [HELLO], None)
    path = driver.blob_path(blob.location)
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(BlobNotFound):
        await driver.stat_blob(blob.location)
    with pytest.raises(DriverError):
        await read_all(driver, blob.location)


async def test_a_base_folder_that_is_a_link_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "unmarked").symlink_to(tmp_path / "elsewhere")
    before = os.listdir("/proc/self/fd")
    driver = FilesystemDriver(tmp_path / "root")
    with pytest.raises(DriverError, match="link"):
        await driver.start()
    await driver.close()
    assert os.listdir("/proc/self/fd") == before


async def test_a_part_named_by_a_path_is_lost(driver: FilesystemDriver) -> None:
    handle, _ = await uploaded(driver, HELLO)
    for token in ("../x", "/etc/passwd", ""):
        with pytest.raises(PartLost):
            await driver.commit_upload(handle, [Part(1, 0, 5, token)], None)


# Without unnamed files, /proc, copies inside the kernel


@pytest.fixture(params=["no unnamed files", "no /proc", "no copy_file_range"])
def poorer_platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> int:
        raise OSError(errno.ENOTSUP, "not supported")

    if request.param == "no unnamed files":
        monkeypatch.setattr(durable, "create_unnamed", lambda _: None)
    elif request.param == "no /proc":
        monkeypatch.setattr(durable, "give_name", lambda *_: False)
    else:
        monkeypatch.setattr(os, "copy_file_range", unsupported)


@pytest.mark.usefixtures("poorer_platform")
async def test_a_poorer_platform_gives_the_same_answers(driver: FilesystemDriver) -> None:
    blob_id, data = new_id(), [content(2_500_000, seed) for seed in range(2)]
    puts = [driver.put_blob(blob_id, [HELLO], mark_of(HELLO)) for _ in range(5)]
    answers = await asyncio.gather(*puts)
    assert len({blob.location for blob in answers}) == 1
    assert await read_all(driver, answers[0].location) == HELLO
    handle, parts = await uploaded(driver, *data)
    blob = await driver.commit_upload(handle, parts, None)
    assert await read_all(driver, blob.location) == b"".join(data)
    assert [handle async for handle in driver.list_uploads(TOMORROW)] == []


# Crashes and races


class Died(BaseException):
    """The process ends here."""


@contextmanager
def dying_in(name: str) -> Iterator[None]:
    """The process ends when it comes to call this function of `os`."""

    def die(*_: object, **__: object) -> None:
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, die)
        yield


@pytest.mark.parametrize("call", ["utime", "rename", "fsync", "unlink", "rmdir"])
@pytest.mark.parametrize("pieces", [[HELLO], [HELLO, b"and more"]], ids=["one part", "two parts"])
async def test_a_commit_that_died_anywhere_is_repeated_by_another(
    driver: FilesystemDriver, call: str, pieces: list[bytes]
) -> None:
    other = FilesystemDriver(root_of(driver))
    await other.start()
    handle, (*parts, _) = await uploaded(driver, *pieces, b"a part that no commit names")
    with dying_in(call), pytest.raises(Died):
        await driver.commit_upload(handle, parts, None)
    blob = await other.commit_upload(handle, parts, None)
    assert await read_all(other, blob.location) == b"".join(pieces)
    assert [handle async for handle in other.list_uploads(TOMORROW)] == []
    assert [blob async for blob in other.list_blobs()] == [blob]
    await other.close()


@pytest.mark.parametrize("call", ["writev", "fsync", "link"])
async def test_a_put_blob_that_died_leaves_nothing(driver: FilesystemDriver, call: str) -> None:
    files = [path for path in root_of(driver).rglob("*") if path.is_file()]
    with dying_in(call), pytest.raises(Died):
        await driver.put_blob(new_id(), [HELLO], None)
    assert [path for path in root_of(driver).rglob("*") if path.is_file()] == files == []


@pytest.mark.parametrize("pieces", [[HELLO], [HELLO, b"and more"]], ids=["one part", "two parts"])
def test_a_slow_commit_brings_nothing_back(tmp_path: Path, pieces: list[bytes]) -> None:
    """Of two commits one stalls before its rename; meanwhile the other ends, and its blob moves."""
    fast, slow = FileStore(tmp_path), FileStore(tmp_path)
    fast.open()
    slow.open()
    handle = fast.begin(new_id())
    parts = []
    for number, data in enumerate(pieces, 1):
        segment = fast.segment(handle, 0)
        parts.append(Part(number, 0, segment.finish([data]), segment.name))
    rename = os.rename

    def overtaken(*args: object, **kwargs: object) -> None:
        patch.setattr(os, "rename", rename)
        blob = fast.commit(handle, parts, None)
        moved = fast.mark(blob.location.rpartition("/")[2], mark_of(b"".join(pieces)))
        assert [found.location for found in fast.walk(None)] == [moved.location]
        rename(*args, **kwargs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", overtaken)
        with pytest.raises(UploadNotFound):
            slow.commit(handle, parts, None)
    assert len(list(fast.walk(None))) == 1
    fast.close()
    slow.close()


def test_commits_that_race_answer_the_same_and_leave_one_blob(tmp_path: Path) -> None:
    stores = [FileStore(tmp_path) for _ in range(3)]
    for store in stores:
        store.open()
    with ThreadPoolExecutor(len(stores)) as threads:
        for data in [[HELLO], [HELLO, b"and more"]] * 15:
            handle = stores[0].begin(new_id())
            segments = [stores[0].segment(handle, 0) for _ in data]
            sizes = [segment.finish([d]) for segment, d in zip(segments, data, strict=True)]
            parts = [
                Part(number, 0, size, segment.name)
                for number, (segment, size) in enumerate(zip(segments, sizes, strict=True), 1)
            ]
            start = threading.Barrier(len(stores))
            commits = [threads.submit(_commit_at, start, s, handle, parts) for s in stores]
            [blob] = {commit.result() for commit in commits}
            assert list(stores[0].walk(None)) == [blob]
            stores[0].delete([parse_location(blob.location)])
    for store in stores:
        store.close()


def _commit_at(
    start: threading.Barrier, store: FileStore, handle: Handle, parts: list[Part]
) -> StoredBlob:
    start.wait(10)
    return store.commit(handle, parts, None)


async def test_a_blob_marked_during_a_listing_is_found_once(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.open()
    driver = FilesystemDriver(tmp_path)
    await driver.start()
    early, late = b"1", b"2"  # their digests begin with 6b and d4
    for data in (b"0", early, late):
        await driver.put_blob(new_id(), [data], mark_of(data) if data == b"0" else None)
    listing = store.walk(None)
    seen = [next(listing)]
    for name in os.listdir(tmp_path / "unmarked"):
        data = (tmp_path / "unmarked" / name).read_bytes()
        store.mark(name, mark_of(data))
    seen += listing
    assert sorted(blob.mark.digest for blob in seen if blob.mark) == sorted(
        mark_of(data).digest for data in (b"0", early, late)
    )
    await driver.close()
    store.close()


async def test_stored_at_is_when_it_was_published_not_when_its_part_came(
    driver: FilesystemDriver,
) -> None:
    handle, parts = await uploaded(driver, HELLO)
    segment = root_of(driver) / "uploads" / handle / parts[0].token
    os.utime(segment, (0, 0))
    blob = await driver.commit_upload(handle, parts, None)
    assert datetime.now(UTC) - blob.stored_at < timedelta(minutes=1)


# Synced before it is answered


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced and what is published, in order."""
    calls: list[str] = []

    def noting(name: str, subject: Callable[..., str]) -> None:
        original = getattr(os, name)

        def noted(*args: object, **kwargs: object) -> object:
            result = original(*args, **kwargs)
            calls.append(subject(*args))
            return result

        monkeypatch.setattr(os, name, noted)

    def kind_of(descriptor: int) -> str:
        return "sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file"

    noting("fsync", kind_of)
    noting("link", lambda *_: "publish")
    noting("rename", lambda *_: "publish")
    return calls


async def test_put_blob_syncs_file_then_name(driver: FilesystemDriver, synced: list[str]) -> None:
    for _ in range(2):
        synced.clear()
        await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
        last_three = synced[-3:]
        assert last_three == ["sync file", "publish", "sync folder"]
    assert synced == last_three, "the shard's own name is synced once a process"


async def test_an_upload_syncs_each_part_and_then_its_name(
    driver: FilesystemDriver, synced: list[str]
) -> None:
    handle, parts = await uploaded(driver, HELLO)
    assert synced == ["sync folder", "sync file", "sync folder"]
    synced.clear()
    blob = await driver.commit_upload(handle, parts, None)
    assert synced == ["publish", "sync folder"]
    synced.clear()
    await driver.mark_blob(blob.location, mark_of(HELLO))
    assert synced == ["sync folder", "publish", "sync folder"]


async def test_a_repeated_commit_syncs_the_name_again(
    driver: FilesystemDriver, synced: list[str]
) -> None:
    """The one that published it may have died before it synced."""
    handle, parts = await uploaded(driver, HELLO)
    await driver.commit_upload(handle, parts, None)
    synced.clear()
    await driver.commit_upload(handle, parts, None)
    assert synced == ["sync folder"]


# What the operating system refuses


async def test_a_file_size_limit_is_no_space_and_leaves_nothing(driver: FilesystemDriver) -> None:
    handle = await driver.begin_upload(new_id())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MiB, hard))
    try:
        with pytest.raises(NoSpace, match="free some space"):
            await driver.put_part(handle, 1, 0, stream(content(5 * MiB)), None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((root_of(driver) / "uploads" / handle).iterdir()) == []
    part = await driver.put_part(handle, 2, 0, stream(content(5 * MiB)), None)
    await driver.commit_upload(handle, [part], None)


async def test_a_refusal_names_the_path_and_what_to_do(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "writev", refuse)
    with pytest.raises(AccessDenied) as refused:
        await driver.put_blob(new_id(), [HELLO], None)
    assert str(root_of(driver)) in str(refused.value)
    assert "right to read and write" in str(refused.value)


async def test_a_file_that_lost_bytes_does_not_just_end(driver: FilesystemDriver) -> None:
    blob = await driver.put_blob(new_id(), [content(MiB)], None)
    async with driver.read_blob(blob.location) as pieces:
        os.truncate(driver.blob_path(blob.location), 1000)
        with pytest.raises(DriverError, match="lost bytes"):
            async for _ in pieces:
                pass


async def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    driver = FilesystemDriver(tmp_path)
    await driver.start()
    blob = await driver.put_blob(new_id(), [content(MiB)], mark_of(HELLO))
    handle, parts = await uploaded(driver, content(2 * MiB), HELLO)

    async def failing() -> AsyncIterator[Buffer]:
        yield content(2 * MiB)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await driver.put_part(handle, 9, 0, failing(), None)
    await driver.commit_upload(handle, parts, None)
    for turns in range(20):
        reading = asyncio.create_task(read_all(driver, blob.location))
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
    await driver.close()
    assert len(os.listdir("/proc/self/fd")) == before
