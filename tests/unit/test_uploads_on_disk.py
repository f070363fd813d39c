"""Uploads on the filesystem driver: what lies on disk when they are over."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry_storage.catalog import Catalog
from registry_storage.digest import Digest
from registry_storage.drivers.api import KiB
from registry_storage.drivers.memory import MemorySpace
from registry_storage.errors import BodyInterrupted, DigestInvalid
from registry_storage.plugins import open_driver
from registry_storage.policy import StorePolicy
from registry_storage.uploads import Uploads
from tests.unit.uploading import REPOSITORY, Bench, broken

DATA = os.urandom(700 * KiB)
DIGEST = Digest.of(DATA)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
async def bench(catalog: Catalog, root: Path) -> AsyncIterator[Bench]:
    driver = open_driver("filesystem", {"rootdirectory": str(root)})
    await driver.start()
    uploads = Uploads(driver, catalog, StorePolicy())
    yield Bench(driver, catalog, uploads, MemorySpace())
    await uploads.close()
    await driver.close()


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "sizes",
    [
        [700 * KiB],
        [700 * KiB, 0],
        [10 * KiB, 690 * KiB, 0],
        [300 * KiB, 10, 400 * KiB - 10],
        [100, 0],
    ],
)
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_one_file_remains_of_a_push(
    bench: Bench, root: Path, sizes: list[int], algorithm: str
) -> None:
    data = DATA[: sum(sizes)]
    upload = await bench.begin()
    offset = 0
    for size in sizes[:-1]:
        offset = await bench.append(upload, data[offset : offset + size])
    blob = await bench.finish(upload, Digest.of(data, algorithm), data[offset:])
    assert await bench.read(blob) == data
    assert files(root) == [root / blob.location]


async def test_nothing_remains_of_wrong_bytes(bench: Bench, root: Path) -> None:
    for sizes in ([700 * KiB, 0], [0, 700 * KiB], [100, 0]):
        upload = await bench.begin()
        await bench.append(upload, DATA[: sizes[0]])
        with pytest.raises(DigestInvalid):
            await bench.finish(upload, Digest.of(b"other"), DATA[sizes[0] : sum(sizes)])
    assert files(root) == []


async def test_what_came_before_the_client_left_is_on_disk(bench: Bench, root: Path) -> None:
    upload = await bench.begin()
    with pytest.raises(BodyInterrupted):
        await bench.uploads.append(REPOSITORY, upload, "", broken(DATA, BodyInterrupted()))
    assert [path.stat().st_size for path in files(root)] == [len(DATA)]
    assert await bench.read(await bench.finish(upload, DIGEST)) == DATA
