"""The disk fills in mid-push: a clear answer, a store intact, and work again when there is room."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_storage import Digest
from tests.reliability.pushing import Answer, Client, image
from tests.services.registry import RegistryServer

MiB = 1024 * 1024
DISK = 64 * MiB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 64 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk that this test fills")
    mount = tmp_path / "disk"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", mount], check=True)
    yield mount
    subprocess.run(["umount", "--lazy", mount], check=True)


@pytest.fixture
def server(disk: Path, tmp_path: Path) -> Iterator[RegistryServer]:
    directory = tmp_path / "server"
    directory.mkdir()
    environment = {"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(disk / "storage")}
    server = RegistryServer(directory, environment).start()
    yield server
    server.kill()


def test_a_full_disk_is_said_and_survived(server: RegistryServer, disk: Path) -> None:
    dice = random.Random(7)
    client = Client([server.url], dice)
    kept = dice.randbytes(1000)
    client.push_blob("a", kept)
    client.push_manifest("a", "kept", image(kept))
    large = dice.randbytes(20 * MiB)  # chunks and the blob they become are on the disk together

    with ballast(disk, leave=5 * MiB):
        assert_full(put(client, large))
        assert client.pull("/v2/a/manifests/kept").status == 200
    with ballast(disk, leave=0):
        for size in (1, 100_000):
            assert_full(put(client, dice.randbytes(size)))
        assert client.pull(f"/v2/a/blobs/{Digest.of(kept)}").body == kept

    assert client.push_blob("a", large) == Digest.of(large)
    assert client.pull(f"/v2/a/blobs/{Digest.of(large)}").body == large


class ballast:
    """A file that fills the disk but for `leave` bytes, while the context lasts."""

    def __init__(self, disk: Path, leave: int) -> None:
        self._file = disk / "ballast"
        free = os.statvfs(disk)
        self._size = free.f_bavail * free.f_frsize - leave

    def __enter__(self) -> None:
        with self._file.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, self._size)

    def __exit__(self, *exc_info: object) -> None:
        self._file.unlink()


def put(client: Client, data: bytes) -> Answer:
    """One attempt to push a blob whole."""
    digest = Digest.of(data)
    return client.send("POST", f"/v2/a/blobs/uploads/?digest={digest}", data)


def assert_full(answer: Answer) -> None:
    assert answer.status == 507, answer
    (error,) = json.loads(answer.body)["errors"]
    assert error["code"] == "UNAVAILABLE"
    assert "full" in error["message"]
