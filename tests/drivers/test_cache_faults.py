"""A cache whose store fails, whose folder is damaged or full, and which others share."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from registry_storage.drivers.api import (
    BlobKind,
    Driver,
    KiB,
    MiB,
    RepairProgress,
    Repairs,
    StoredBlob,
)
from registry_storage.drivers.api import Redirects as RedirectsExtension
from registry_storage.drivers.composite.cache import CacheDriver
from registry_storage.drivers.composite.cache.files import BLOCK, CacheFiles
from registry_storage.drivers.composite.cache.reading import FOOTER
from registry_storage.drivers.filesystem import FilesystemDriver
from registry_storage.drivers.memory import MemoryDriver, MemorySpace
from registry_storage.drivers.wrappers.faults import Fault, FaultyDriver, Scripted, When
from registry_storage.errors import (
    BlobNotFound,
    ConfigurationInvalid,
    DriverError,
    DriverUnavailable,
)
from registry_storage.plugins import open_driver
from registry_storage.testing.material import content, mark_of, new_id, read_all

BUDGET = 8 * MiB
DOWN = Scripted(methods={"read_blob": Fault(), "stat_blob": Fault()})


class Cached:
    """A cache before a store in memory, which can be broken and counts what it is asked."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.store = FaultyDriver(MemoryDriver(MemorySpace()), Scripted())
        self.driver = CacheDriver(self.store, CacheFiles(folder, BUDGET))
        self._stack = stack

    async def put(self, data: bytes, kind: BlobKind = BlobKind.BLOB) -> StoredBlob:
        return await self.driver.put_blob(new_id(), [data], mark_of(data, kind))

    async def pull(self, blob: StoredBlob) -> bytes:
        """Read the blob, and let its fill end."""
        data = await read_all(self.driver, blob.location)
        await self.driver.settle()
        return data

    async def restarted(self) -> CacheDriver:
        """Another instance over the same folder and store."""
        driver = CacheDriver(self.store, CacheFiles(self.folder, BUDGET))
        self._stack.push_async_callback(driver.close)
        await driver.start()
        return driver

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("blobs/*/*"))

    @property
    def unfinished(self) -> list[Path]:
        return list(self.folder.glob("filling/*"))

    @property
    def taken(self) -> int:
        return int((self.folder / "taken").read_bytes())

    def fetches(self) -> int:
        return self.store.called.count("read_blob")


def bytes_on_disk(paths: list[Path]) -> int:
    """Of what is still there; a blob that is just being named has two names."""
    sizes: dict[int, int] = {}
    for path in paths:
        with suppress(FileNotFoundError):
            found = path.stat()
            sizes[found.st_ino] = found.st_size
    return sum(sizes.values())


def costs_of(*sizes: int) -> int:
    return sum(-(-(size + FOOTER.size) // BLOCK) * BLOCK for size in sizes)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Cached]:
    async with AsyncExitStack() as stack:
        cached = Cached(folder, stack)
        stack.push_async_callback(cached.driver.close)
        await cached.driver.start()
        yield cached


@pytest.fixture
async def cached(tmp_path: Path) -> AsyncIterator[Cached]:
    async with opened(tmp_path / "cache") as cached:
        yield cached


async def test_what_was_pulled_once_needs_no_store(cached: Cached) -> None:
    data = content(2 * MiB + 17)
    blob = await cached.put(data)
    assert await cached.pull(blob) == data
    assert cached.taken == costs_of(len(data))
    cached.store.plan = DOWN
    assert await cached.pull(blob) == data
    assert await read_all(cached.driver, blob.location, 5, 600_000) == data[5:600_000]
    assert await read_all(cached.driver, blob.location, MiB, 10**9) == data[MiB:]
    assert await read_all(await cached.restarted(), blob.location) == data


async def test_a_range_of_what_is_not_there_is_read_past_the_cache(cached: Cached) -> None:
    data = content(MiB)
    blob = await cached.put(data)
    assert await read_all(cached.driver, blob.location, 0, 100) == data[:100]
    assert await read_all(cached.driver, blob.location, 100) == data[100:]
    await cached.driver.settle()
    assert cached.files == []
    assert await read_all(cached.driver, blob.location, 0, len(data)) == data
    await cached.driver.settle()
    assert len(cached.files) == 1


async def test_many_who_ask_at_once_are_one_for_the_store(cached: Cached) -> None:
    data = content(3 * MiB)
    blob = await cached.put(data)
    reads = [read_all(cached.driver, blob.location) for _ in range(20)]
    assert set(await asyncio.gather(*reads)) == {data}
    assert cached.fetches() == 1


async def test_a_reader_that_leaves_does_not_end_the_fetching(cached: Cached) -> None:
    data = content(3 * MiB)
    blob = await cached.put(data)
    async with cached.driver.read_blob(blob.location) as pieces:
        assert data.startswith(await anext(pieces))
    await cached.driver.settle()
    cached.store.plan = DOWN
    assert await read_all(cached.driver, blob.location) == data


async def test_what_the_store_breaks_off_is_not_cached(cached: Cached) -> None:
    data = content(3 * MiB)
    blob = await cached.put(data)
    cached.store.plan = Scripted(methods={"read_blob": Fault(When.MIDWAY, after=1_500_000)})
    with pytest.raises(DriverUnavailable):
        await read_all(cached.driver, blob.location)
    await cached.driver.settle()
    assert cached.files == cached.unfinished == []
    assert cached.taken == 0
    cached.store.plan = Scripted()
    assert await cached.pull(blob) == data


async def test_a_fetch_that_breaks_is_gone_on_with_at_the_store(cached: Cached) -> None:
    data = content(3 * MiB)
    blob = await cached.put(data)
    calls = len(cached.store.called)
    cached.store.plan = Scripted({calls + 1: Fault(When.MIDWAY, after=1_500_000)})
    assert await cached.pull(blob) == data
    assert cached.fetches() == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"x",
        lambda data: data[:-1] + b"x",
        lambda data: bytes(len(data)),
    ],
)
async def test_a_damaged_file_is_never_served(
    cached: Cached, damage: Callable[[bytes], bytes]
) -> None:
    data = content(100_000)
    blob = await cached.put(data)
    await cached.pull(blob)
    [file] = cached.files
    file.write_bytes(damage(file.read_bytes()))
    assert await read_all(cached.driver, blob.location, 10, 20) == data[10:20]
    assert cached.files == []
    assert await cached.pull(blob) == data
    assert len(cached.files) == 1


async def test_rotten_bytes_are_found_by_who_reads_all_and_fetched_anew(cached: Cached) -> None:
    data = content(2 * MiB)
    blob = await cached.put(data)
    await cached.pull(blob)
    [file] = cached.files
    with file.open("r+b") as opened_file:
        opened_file.seek(MiB)
        opened_file.write(bytes([data[MiB] ^ 1]))
    with pytest.raises(DriverError, match="damaged and was removed"):
        await read_all(cached.driver, blob.location)
    assert await cached.pull(blob) == data
    assert cached.fetches() == 2


async def test_what_was_used_longest_ago_makes_room(cached: Cached) -> None:
    blobs = [await cached.put(content(2 * MiB, seed)) for seed in range(4)]
    ages = {}
    for age, blob in enumerate(blobs[:3]):
        before = set(cached.files)
        await cached.pull(blob)
        [ages[blob.location]] = set(cached.files) - before
        os.utime(ages[blob.location], (1000 + age, 1000 + age))
    await cached.pull(blobs[0])
    await cached.pull(blobs[3])
    kept = set(cached.files)
    assert ages[blobs[0].location] in kept, "it was used just now"
    assert ages[blobs[1].location] not in kept
    assert cached.taken == sum(costs_of(2 * MiB) for _ in kept) <= BUDGET


async def test_a_blob_larger_than_the_budget_is_read_past_the_cache(tmp_path: Path) -> None:
    data = content(2 * MiB)
    store = MemoryDriver()
    driver = CacheDriver(store, CacheFiles(tmp_path, MiB))
    await driver.start()
    blob = await driver.put_blob(new_id(), [data], mark_of(data))
    assert await read_all(driver, blob.location) == data
    await driver.close()
    assert not any((tmp_path / "blobs").iterdir())


async def test_the_budget_holds_however_many_pull(cached: Cached) -> None:
    other = await cached.restarted()
    stored = [(data := content(900_000, seed), await cached.put(data)) for seed in range(30)]

    async def pull(driver: Driver, data: bytes, blob: StoredBlob) -> None:
        assert await read_all(driver, blob.location) == data
        assert bytes_on_disk([*cached.files, *cached.unfinished]) <= BUDGET

    await asyncio.gather(
        *[pull(driver, *one) for one in stored for driver in (cached.driver, other)]
    )
    await asyncio.gather(cached.driver.settle(), other.settle())
    assert cached.unfinished == []
    assert cached.taken == costs_of(*[path.stat().st_size - FOOTER.size for path in cached.files])
    assert cached.files


async def test_what_nobody_pulls_is_not_cached(cached: Cached) -> None:
    data = content(50_000)
    unmarked = await cached.driver.put_blob(new_id(), [data], None)
    marker = await cached.put(data, BlobKind.MARKER)
    for blob in (unmarked, marker):
        assert await cached.pull(blob) == data
    assert cached.files == []
    await cached.pull(await cached.put(data, BlobKind.MANIFEST))
    assert len(cached.files) == 1


async def test_a_deleted_blob_leaves_the_cache(cached: Cached) -> None:
    blob = await cached.put(content(50_000))
    await cached.pull(blob)
    await cached.driver.delete_blobs([blob.location])
    assert cached.files == []
    assert cached.taken == 0
    with pytest.raises(BlobNotFound):
        await read_all(cached.driver, blob.location)


async def test_a_blob_deleted_while_it_is_fetched_is_not_cached(cached: Cached) -> None:
    data = content(4 * MiB)
    blob = await cached.put(data)
    async with cached.driver.read_blob(blob.location) as pieces:
        await anext(pieces)
        await cached.driver.delete_blobs([blob.location])
    await cached.driver.settle()
    assert cached.files == cached.unfinished == []
    assert cached.taken == 0


async def test_a_full_disk_does_not_hinder_pulls(
    cached: Cached, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content(2 * MiB)
    blob = await cached.put(data)
    write = os.pwrite

    def full(file: int, buffer: bytes, offset: int) -> int:
        if offset > MiB // 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, buffer[: MiB // 4], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        assert await cached.pull(blob) == data
    assert cached.files == cached.unfinished == []
    assert cached.taken == 0
    assert await cached.pull(blob) == data
    assert len(cached.files) == 1


async def test_a_folder_that_was_emptied_fills_again(cached: Cached) -> None:
    blob = await cached.put(content(50_000))
    await cached.pull(blob)
    for file in cached.files:
        file.unlink()
        file.parent.rmdir()
    assert await cached.pull(blob) == content(50_000)
    assert len(cached.files) == 1


async def test_a_start_counts_anew_and_keeps_what_others_are_writing(cached: Cached) -> None:
    data = content(3 * MiB)
    blob = await cached.put(data)
    await cached.pull(await cached.put(content(1000)))
    async with cached.driver.read_blob(blob.location) as pieces:
        await anext(pieces)
        (cached.folder / "taken").write_bytes(b"nonsense")
        (cached.folder / "filling" / "dead").write_bytes(bytes(100_000))
        await cached.restarted()
        assert [path.name for path in cached.unfinished] != ["dead"]
        assert cached.taken == costs_of(1000, len(data))
    await cached.driver.settle()
    assert cached.unfinished == []
    assert cached.taken == costs_of(1000, len(data))


async def test_a_folder_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    driver = CacheDriver(MemoryDriver(), CacheFiles(tmp_path / "file", MiB))
    with pytest.raises(DriverError, match=r"the cache cannot use .*/file \(Not a directory\)"):
        await driver.start()
    await driver.close()


class Elsewhere(MemoryDriver):
    """Has extensions of all kinds."""

    async def blob_url(self, location: str, valid_for: float, method: str = "GET") -> str | None:
        return f"https://elsewhere.example/{location}"

    async def repair(self) -> AsyncIterator[RepairProgress]:
        yield RepairProgress(0, 0, 0)


def test_redirects_lead_past_the_cache_only_where_that_is_wanted(tmp_path: Path) -> None:
    for wanted in (False, True):
        driver = CacheDriver(Elsewhere(), CacheFiles(tmp_path, MiB), redirect=wanted)
        assert (driver.extension(RedirectsExtension) is not None) is wanted
        assert driver.extension(Repairs) is not None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "storage.cache.store: required"),
        ({"size": "1KiB"}, "storage.cache.size: input should be greater than or equal to"),
        ({"size": "many"}, "storage.cache.size: could not parse value and unit"),
        ({"store": {}}, "storage.cache.store: name one driver here"),
        (
            {"store": {"filesystem": {}}},
            "storage.cache.store.filesystem.rootdirectory: required",
        ),
    ],
)
def test_a_wrong_setting_is_told_by_its_full_path(
    settings: dict[str, object], message: str, tmp_path: Path
) -> None:
    complete = {"store": "memory", "directory": str(tmp_path), "size": "1GiB", **settings}
    with pytest.raises(ConfigurationInvalid) as refused:
        open_driver("cache", complete if settings else {})
    assert str(refused.value).startswith(message)


PULL = """
import asyncio, hashlib, sys
from pathlib import Path
from registry_storage.plugins import open_driver

async def main(root, folder, locations):
    driver = open_driver("cache", {
        "store": {"filesystem": {"rootdirectory": root}}, "directory": folder, "size": "4MiB",
    })
    await driver.start()
    for location in locations:
        async with driver.read_blob(location) as pieces:
            data = b"".join([piece async for piece in pieces])
        print(hashlib.sha256(data).hexdigest(), flush=True)
    await driver.settle()
    await driver.close()

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
"""


def pulling(store: Path, folder: Path, locations: list[str]) -> subprocess.Popen[str]:
    """A process that pulls these blobs through a cache in `folder`, and tells their hashes."""
    command = [sys.executable, "-c", PULL, str(store), str(folder), *locations]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def filled_store(root: Path, blobs: list[bytes]) -> list[str]:
    store = FilesystemDriver(root)
    await store.start()
    stored = [await store.put_blob(new_id(), [data], mark_of(data)) for data in blobs]
    await store.close()
    return [blob.location for blob in stored]


async def test_processes_share_a_folder_and_its_budget(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    blobs = [content(700 * KiB, seed) for seed in range(12)]
    locations = await filled_store(tmp_path / "store", blobs)
    expected = [mark_of(data).digest.hex for data in blobs]
    running = [
        pulling(tmp_path / "store", folder, locations),
        pulling(tmp_path / "store", folder, locations[::-1]),
    ]
    told = [(await asyncio.to_thread(process.communicate))[0].split() for process in running]
    assert told == [expected, expected[::-1]]
    files = list(folder.glob("blobs/*/*"))
    assert 0 < sum(path.stat().st_size for path in files) <= 4 * MiB
    assert int((folder / "taken").read_bytes()) == costs_of(*[700 * KiB] * len(files))
    assert list(folder.glob("filling/*")) == []


async def test_a_killed_process_leaves_nothing_that_is_served_or_counted(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    blobs = [content(1500 * KiB, seed) for seed in range(8)]
    locations = await filled_store(tmp_path / "store", blobs)
    for pulled in range(2):
        process = pulling(tmp_path / "store", folder, locations * 50)
        assert process.stdout is not None
        for _ in range(pulled + 1):
            await asyncio.to_thread(process.stdout.readline)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        process.stdout.close()
        settled = pulling(tmp_path / "store", folder, locations)
        told, _ = await asyncio.to_thread(settled.communicate)
        assert told.split() == [mark_of(data).digest.hex for data in blobs]
        assert list(folder.glob("filling/*")) == []
        files = list(folder.glob("blobs/*/*"))
        assert int((folder / "taken").read_bytes()) == costs_of(*[1500 * KiB] * len(files))
