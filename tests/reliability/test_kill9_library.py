"""The library is killed at any instant: what it acknowledged is there and whole, and goes on."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from registry_storage import Registry
from registry_storage.catalog import Catalog
from registry_storage.digest import Digest
from registry_storage.errors import UploadConflict, UploadUnknown
from registry_storage.repository import Repository
from tests.reliability.library_pusher import REPOSITORY, content, pieces


@dataclass
class Facts:
    """What was acknowledged before the kill."""

    held: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Bytes held and wanted, by upload."""
    blobs: dict[str, int] = field(default_factory=dict)

    def learn(self, output: str) -> None:
        """Lines that ended before the kill; half a line was no acknowledgement."""
        for line in output.splitlines(keepends=True):
            match line.split() if line.endswith("\n") else []:
                case ["held", upload, offset, size]:
                    self.held[upload] = int(offset), int(size)
                case ["blob", digest, size]:
                    self.blobs[digest] = int(size)


@contextmanager
def pusher(root: Path, seed: int) -> Iterator[subprocess.Popen[str]]:
    """A process that pushes; killed at the end, if it was not before."""
    command = [sys.executable, "-m", "tests.reliability.library_pusher", str(root), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def run_and_kill(root: Path, chance: random.Random) -> Iterator[str]:
    """What two processes on one store say until each is killed, at an instant of its own."""
    with pusher(root, chance.randrange(2**32)) as one, pusher(root, chance.randrange(2**32)) as two:
        for process in (one, two):
            time.sleep(chance.uniform(0.0, 0.4))
            process.kill()
            assert process.stdout is not None
            yield process.stdout.read()


async def check(root: Path, facts: Facts) -> int:
    """Every acknowledged blob is whole and every session goes on; how many sessions did."""
    async with await Registry.open("filesystem", {"rootdirectory": str(root)}) as registry:
        repository = registry.repository(REPOSITORY)
        for digest, size in facts.blobs.items():
            await check_blob(repository, Digest.parse(digest), size)
        resumed = 0
        for upload, (held, size) in facts.held.items():
            resumed += await resume(repository, upload, held, size)
    return resumed


async def check_blob(repository: Repository, digest: Digest, size: int) -> None:
    blob = await repository.blob(digest)
    async with repository.read_blob(blob) as stored:
        data = b"".join([piece async for piece in stored])
    assert len(data) == size
    assert Digest.of(data, digest.algorithm) == digest


async def resume(repository: Repository, upload: str, held: int, size: int) -> bool:
    """Go on with a session; False: it is done."""
    try:
        offset = (await repository.upload(upload)).offset
    except UploadUnknown:
        return False
    assert held <= offset <= size, "what was acknowledged is held"
    data = content(upload, size)
    digest = Digest.of(data)
    try:
        await repository.finish_upload(upload, digest, pieces(data[offset:]))
    except UploadConflict:
        # It was killed while it published the blob under its sha512.
        digest = Digest.of(data, "sha512")
        await repository.finish_upload(upload, digest, pieces(b""))
    await check_blob(repository, digest, size)
    return True


async def assert_rows_imply_bytes(root: Path) -> None:
    """Nothing half-done is visible: each row of `blobs` has its bytes, all of them."""

    def rows(tx: Connection) -> list[tuple[str, int]]:
        return [tuple(row) for row in tx.execute(text("SELECT location, size FROM blobs"))]

    catalog = await Catalog.open(f"sqlite:///{root}/catalog.sqlite")
    found = await catalog.read(rows)
    await catalog.close()
    assert found
    for location, size in found:
        assert (root / location).stat().st_size == size


def kill_and_check(root: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    facts, resumed = Facts(), 0
    for _ in range(rounds):
        for output in run_and_kill(root, chance):
            facts.learn(output)
        resumed += asyncio.run(check(root, facts))
        facts.held.clear()
    asyncio.run(assert_rows_imply_bytes(root))
    assert facts.blobs, "something was pushed before the kills"
    assert resumed, "something was under way at the kills"


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    kill_and_check(tmp_path / "store", rounds=5, seed=1)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(10))
def test_a_process_killed_a_hundred_times_loses_nothing(tmp_path: Path, seed: int) -> None:
    kill_and_check(tmp_path / "store", rounds=100, seed=seed)
