"""Two servers over one PostgreSQL and one directory: what the one answers holds on the other."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry_storage import Digest
from tests.reliability.pushing import Client, image
from tests.services.registry import RegistryServer

SHORT, LONG = 20, 600
"""Seconds of random work."""
CLIENTS = 4


@pytest.fixture
def urls(tmp_path: Path, postgres_url: str) -> Iterator[list[str]]:
    storage = str(tmp_path / "storage")
    servers = []
    for name in ("one", "two"):
        directory = tmp_path / name
        directory.mkdir()
        environment = {
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": storage,
            "REGISTRY_CATALOG_URL": postgres_url,
        }
        servers.append(RegistryServer(directory, environment).start())
    yield [server.url for server in servers]
    for server in servers:
        server.stop()


def test_alternate_chunks_of_one_upload_make_one_blob(urls: list[str]) -> None:
    data = random.Random(1).randbytes(3_000_000)
    clients = [Client([url], random.Random(2)) for url in urls]
    begun = clients[0].send("POST", "/v2/a/blobs/uploads/")
    location, step = begun.headers["Location"], 200_000
    for turn, start in enumerate(range(0, len(data), step)):
        chunk = data[start : start + step]
        headers = {"Content-Range": f"{start}-{start + len(chunk) - 1}"}
        answer = clients[turn % 2].send("PATCH", location, chunk, headers)
        assert (answer.status, answer.headers["Range"]) == (202, f"0-{start + len(chunk) - 1}")
    digest = Digest.of(data)
    assert clients[0].send("PUT", f"{location}?digest={digest}").status == 201
    for client in clients:
        assert client.pull(f"/v2/a/blobs/{digest}").body == data


@pytest.mark.parametrize(
    "seconds", [SHORT, pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_no_tag_or_blob_is_lost_and_none_comes_back(urls: list[str], seconds: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    shared = [random.Random(n).randbytes(2_000 * (n + 1)) for n in range(6)]
    workers = [
        Worker(urls, f"team/app{n}", shared, random.Random(seed + n)) for n in range(CLIENTS)
    ]
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = [pool.submit(worker.work, seconds) for worker in workers]
    rounds = sum(each.result() for each in done)
    for worker in workers:
        worker.check_everything()
    assert rounds > CLIENTS * seconds / 4, "even a busy machine does something"


class Worker:
    """A client with a repository of its own, so that it knows exactly what must be there.

    Its layers are shared with the other repositories, so that links, mounts and deletions of the
    same digests meet in the store.
    """

    def __init__(
        self, urls: list[str], repository: str, layers: list[bytes], dice: random.Random
    ) -> None:
        self._client = Client(urls, dice)
        self._repository = repository
        self._layers = layers
        self._dice = dice
        self._tags: dict[str, Digest] = {}
        self._manifests: dict[Digest, list[bytes]] = {}
        self._blobs: set[Digest] = set()

    def work(self, seconds: float) -> int:
        """Change something and look at something, again and again; return how often."""
        actions = [
            self._push,
            self._push,
            self._retag,
            self._untag,
            self._delete,
            self._delete_blob,
        ]
        deadline = time.monotonic() + seconds
        rounds = 0
        while time.monotonic() < deadline:
            self._dice.choice(actions)()
            self._check_one()
            rounds += 1
        return rounds

    def _push(self) -> None:
        config = self._dice.randbytes(50)
        layers = self._dice.sample(self._layers, k=2)
        for data in (config, *layers):
            self._blobs.add(self._client.push_blob(self._repository, data))
        tag = f"t{self._dice.randrange(5)}"
        document = image(config, *layers)
        digest = self._client.push_manifest(self._repository, tag, document)
        self._tags[tag] = digest
        self._manifests[digest] = [config, *layers]

    def _retag(self) -> None:
        if self._manifests:
            digest = self._dice.choice(sorted(self._manifests))
            tag = f"t{self._dice.randrange(5)}"
            document = image(*self._manifests[digest])
            assert self._client.push_manifest(self._repository, tag, document) == digest
            self._tags[tag] = digest

    def _untag(self) -> None:
        if self._tags:
            tag = self._dice.choice(sorted(self._tags))
            self._delete_path(f"manifests/{tag}")
            del self._tags[tag]

    def _delete(self) -> None:
        if self._manifests:
            digest = self._dice.choice(sorted(self._manifests))
            self._delete_path(f"manifests/{digest}")
            del self._manifests[digest]
            self._tags = {tag: named for tag, named in self._tags.items() if named != digest}

    def _delete_blob(self) -> None:
        used = {Digest.of(data) for datas in self._manifests.values() for data in datas}
        unused = sorted(self._blobs - used)
        if unused:
            digest = self._dice.choice(unused)
            self._delete_path(f"blobs/{digest}")
            self._blobs.discard(digest)
        if used:
            answer = self._client.send("DELETE", self._path(f"blobs/{min(used)}"))
            assert answer.status == 409, answer

    def _delete_path(self, path: str) -> None:
        answer = self._client.send("DELETE", self._path(path))
        assert answer.status == 202, answer
        assert self._client.pull(self._path(path)).status == 404, "what was deleted came back"

    def _check_one(self) -> None:
        if self._tags:
            self._check_tag(self._dice.choice(sorted(self._tags)))

    def _check_tag(self, tag: str) -> None:
        answer = self._client.pull(self._path(f"manifests/{tag}"))
        assert (answer.status, Digest.of(answer.body)) == (200, self._tags[tag])

    def check_everything(self) -> None:
        """Every tag and blob that was acknowledged, and no other."""
        for tag in (f"t{n}" for n in range(5)):
            if tag in self._tags:
                self._check_tag(tag)
            else:
                assert self._client.pull(self._path(f"manifests/{tag}")).status == 404
        for digest in self._blobs:
            blob = self._client.pull(self._path(f"blobs/{digest}"))
            assert (blob.status, Digest.of(blob.body)) == (200, digest)

    def _path(self, rest: str) -> str:
        return f"/v2/{self._repository}/{rest}"
