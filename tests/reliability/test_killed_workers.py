"""Workers die at any moment of a push: what was answered is there, what was not can go on."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_storage import Digest
from tests.reliability.pushing import Client, image
from tests.reliability.servers import damaged_rows, kill_workers
from tests.services.registry import RegistryServer

SHORT, LONG = 40, 1000
MORE_THAN_A_BYTE = 2
"""A client cannot tell an upload of one byte from one without: both have the range 0-0."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RegistryServer]:
    server = RegistryServer(tmp_path, workers=2)
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize(
    "kills", [SHORT, pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(7200)])]
)
def test_a_push_survives_the_death_of_its_workers(server: RegistryServer, kills: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    client = Client([server.url], dice)
    acknowledged: dict[str, Digest] = {}
    with Killer(server, random.Random(seed + 1), kills) as killer:
        while killer.is_at_work:
            tag = f"round-{len(acknowledged)}"
            acknowledged[tag] = push_image(client, dice, tag)
            check(client, dict(dice.sample(sorted(acknowledged.items()), k=1)))
    assert killer.kills == kills
    check(client, acknowledged)
    server.stop()
    assert damaged_rows(server.storage) == []


class Killer:
    """Kills all workers, at random, so many times, while the tests goes on."""

    def __init__(self, server: RegistryServer, dice: random.Random, kills: int) -> None:
        self.kills = 0
        self._server = server
        self._dice = dice
        self._planned = kills
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    @property
    def is_at_work(self) -> bool:
        return self._thread.is_alive()

    def _work(self) -> None:
        while self.kills < self._planned:
            if self._ended.wait(self._dice.uniform(0.1, 1.2)):
                return
            if self._server.worker_pids():
                kill_workers(self._server)
                self.kills += 1

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()


def push_image(client: Client, dice: random.Random, tag: str) -> Digest:
    """Push an image of two layers, one small and one that takes a while."""
    config = dice.randbytes(100)
    small = dice.randbytes(dice.choice([0, dice.randint(MORE_THAN_A_BYTE, 100_000)]))
    large = dice.randbytes(dice.randint(100_000, 8_000_000))
    for data in (config, small, large):
        client.push_blob("team/app", data)
    return client.push_manifest("team/app", tag, image(config, small, large))


def check(client: Client, acknowledged: dict[str, Digest]) -> None:
    """Every image is there, whole."""
    for tag, digest in acknowledged.items():
        manifest = client.pull(f"/v2/team/app/manifests/{tag}")
        assert (manifest.status, Digest.of(manifest.body)) == (200, digest)
        document = json.loads(manifest.body)
        for each in (document["config"], *document["layers"]):
            blob = client.pull(f"/v2/team/app/blobs/{each['digest']}")
            assert (blob.status, Digest.of(blob.body)) == (200, each["digest"])
