"""What every driver must do behind a server: the test file of a driver calls these."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import random
import sqlite3
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from registry_storage import Digest
from registry_storage.hashing import new_hasher
from tests.clients.content import Wire, in_layout
from tests.clients.programs import Containers
from tests.reliability.pushing import Client, image
from tests.services.registry import RegistryServer

MiB = 1024 * 1024
SECONDS = 60.0
FOR_A_COPY = 600.0
"""Emulators copy all bytes, more than once, where real services only note that they belong
together."""
SOON = "2s"
"""More than a client needs between two requests, however busy the machine is."""
LAYER_SIZES = (3_000, 700_000, 20 * MiB)
"""In memory, in one request, and in parts."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A store that nobody else uses, for servers."""

    storage: Mapping[str, Any]
    """The section `storage` of the configuration: the driver and its settings."""
    under_way: Callable[[], list[str]]
    """All that lies in it of uploads that are not published."""
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def serving(
    folder: Path, backend: Backend, *, upload_age: str = "168h", log: str = "one"
) -> Iterator[RegistryServer]:
    """A server on that store.  All in one folder share a catalog; it is ended on leaving."""
    home = folder / log
    home.mkdir(parents=True)
    storage = {**backend.storage, "maintenance": {"uploadpurging": {"age": upload_age}}}
    environment = {**backend.environment, "REGISTRY_DATA_DIRECTORY": str(folder / "data")}
    server = RegistryServer(home, environment, yaml.safe_dump({"storage": storage}))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def check_an_image_by_skopeo(folder: Path, backend: Backend) -> None:
    """A real client pushes an image of several layers, and pulls the same bytes."""
    containers = Containers.inside(folder / "containers")
    source, back = folder / "source", folder / "back"
    _write_layout(source)
    with serving(folder, backend) as server:
        name = f"docker://{urlsplit(server.url).netloc}/team/app:1"
        options = ("--preserve-digests", "--quiet")
        containers.skopeo("copy", "--dest-tls-verify=false", *options, f"oci:{source}:it", name)
        containers.skopeo("copy", "--src-tls-verify=false", *options, name, f"oci:{back}:it")
        assert Wire(server.url).get("team/app/tags/list").json()["tags"] == ["1"]
    assert in_layout(back, "it") == in_layout(source, "it")
    assert backend.under_way() == []


def check_an_upload_over_two_servers(folder: Path, backend: Backend) -> None:
    """Each gets every second chunk of one upload; both serve the blob."""
    data = random.Random(1).randbytes(21 * MiB + 1)
    with serving(folder, backend) as one, serving(folder, backend, log="two") as two:
        clients = [Client([server.url], random.Random(2)) for server in (one, two)]
        location = clients[0].send("POST", "/v2/a/blobs/uploads/").headers["Location"]
        step = 6 * MiB
        for turn, start in enumerate(range(0, len(data), step)):
            chunk = data[start : start + step]
            span = {"Content-Range": f"{start}-{start + len(chunk) - 1}"}
            assert clients[turn % 2].send("PATCH", location, chunk, span).status == 202
        digest = Digest.of(data)
        assert clients[0].send("PUT", f"{location}?digest={digest}").status == 201
        for server in (one, two):
            assert Digest.of(Wire(server.url).get(f"a/blobs/{digest}").body) == digest
    assert backend.under_way() == []


def check_flat_memory(folder: Path, backend: Backend, mib: int, most_growth: int) -> None:
    """A large blob is pushed and pulled while the server grows by `most_growth` MiB at most."""
    with serving(folder, backend) as server:
        _push_and_pull(server.url, 32)
        before = server.resident_bytes()
        _push_and_pull(server.url, mib)
        assert server.resident_bytes() - before < most_growth * MiB


def check_sudden_death(folder: Path, backend: Backend) -> None:
    """The server is killed in mid-push; the next one's janitor leaves nothing of it."""
    with serving(folder, backend, upload_age=SOON) as server:
        pushing = threading.Thread(target=_push_without_end, args=(server.url,))
        pushing.start()
        _wait_until(lambda: len(backend.under_way()) > 2)
        server.kill()
        pushing.join()
    assert backend.under_way() != []
    catalog = folder / "data" / "catalog.sqlite"
    _wait_until(lambda: _all_have_expired(catalog))
    _end_the_term_of_the_dead(catalog)
    with serving(folder, backend, upload_age=SOON, log="two"):
        _wait_until(lambda: backend.under_way() == [])


def _push_and_pull(url: str, mib: int) -> None:
    digest = _push_mib(url, mib)
    assert _digest_at(f"{url}/v2/a/blobs/{digest}") == digest


def _push_mib(url: str, mib: int) -> Digest:
    """Push so many MiB in one request, made while they are sent."""
    hasher = new_hasher("sha256")
    made = random.Random(mib)

    def body() -> Iterator[bytes]:
        for _ in range(mib):
            piece = made.randbytes(MiB)
            hasher.update(piece)
            yield piece

    client = Client([url], random.Random(0), patience=FOR_A_COPY)
    location = client.send("POST", "/v2/a/blobs/uploads/").headers["Location"]
    assert client.send("PATCH", location, body()).status == 202
    digest = hasher.digest()
    assert client.send("PUT", f"{location}?digest={digest}").status == 201
    return digest


def _push_without_end(url: str) -> None:
    client = Client([url], random.Random(0))
    location = client.send("POST", "/v2/a/blobs/uploads/").headers["Location"]
    piece = random.Random(0).randbytes(MiB)
    with suppress(OSError, http.client.HTTPException):
        client.send("PATCH", location, iter(lambda: piece, b""))


def _digest_at(url: str) -> Digest:
    """Of what is there, read piece by piece; redirects are followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
    with closing(connection):
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        if answer.status == 307:
            return _digest_at(answer.headers["Location"])
        assert answer.status == 200
        hasher = new_hasher("sha256")
        while piece := answer.read(MiB):
            hasher.update(piece)
        return hasher.digest()


def _wait_until(agreed: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not agreed():
        assert time.monotonic() < deadline, "that never happens"
        time.sleep(0.05)


def _all_have_expired(catalog: Path) -> bool:
    """A janitor looks as it starts and again a minute later."""
    with closing(sqlite3.connect(catalog)) as connection:
        (last,) = connection.execute("SELECT max(expires_at) FROM uploads").fetchone()
        return bool(last < time.time() * 1000)


def _end_the_term_of_the_dead(catalog: Path) -> None:
    """The office of the janitor would be free by itself, half a minute later."""
    with closing(sqlite3.connect(catalog)) as connection, connection:
        connection.execute("DELETE FROM leases")


def _write_layout(folder: Path) -> None:
    """An OCI layout with one image, tagged `it`, of a layer of each size."""
    layers = [_layer(number, size) for number, size in enumerate(LAYER_SIZES)]
    rootfs = {"type": "layers", "diff_ids": [str(Digest.of(gzip.decompress(it))) for it in layers]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    manifest = json.dumps(document := image(config, *layers), default=str).encode()
    for data in (*layers, config, manifest):
        digest = Digest.of(data)
        (folder / "blobs" / digest.algorithm).mkdir(parents=True, exist_ok=True)
        (folder / "blobs" / digest.algorithm / digest.hex).write_bytes(data)
    entry = {
        "mediaType": document["mediaType"],
        "digest": str(Digest.of(manifest)),
        "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": "it"},
    }
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _layer(number: int, size: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(f"file{number}")
        member.size = size
        archive.addfile(member, io.BytesIO(random.Random(number).randbytes(size)))
    return gzip.compress(packed.getvalue(), compresslevel=1, mtime=0)
