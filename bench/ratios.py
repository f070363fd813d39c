"""The rows that compare: each server in turn does the same work on the same data."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.client import begin_upload, push_image, push_large_blob, with_digest
from bench.content import MANIFEST_TYPE, Blob, Image, KiB, MiB
from bench.servers import Server
from bench.tools import Load, curl_get, curl_put, wrk

REPOSITORY = "bench/app"
TAG = "latest"


@dataclass(slots=True)
class Stage:
    """What the rows share: how long to measure, scratch space, and what has been pushed already."""

    scratch: Path
    seconds: int
    """Of each turn of a row that counts requests."""
    rounds: int
    """Turns of each server."""
    _pushed: dict[tuple[str, int], str] = field(default_factory=dict)

    def blob(self, server: Server, size: int) -> str:
        """The URL of the blob of that size, pushed at first use."""
        if (server.name, size) not in self._pushed:
            with server.connect() as connection:
                digest = push_large_blob(connection, REPOSITORY, Blob(size, "blob"))
            self._pushed[server.name, size] = digest
        return f"{server.url}/v2/{REPOSITORY}/blobs/{self._pushed[server.name, size]}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn of one server."""

    rate: float
    """In the row's unit, a second."""
    cpu: float
    """The server's CPU seconds for each request."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A row: what is measured, and how many times the peer's rate is wanted."""

    key: str
    title: str
    unit: str
    bar: float
    aim: float | None
    measure: Callable[[Stage, Server, int], Sample]
    """Takes the number of the round, for content that nobody has pushed yet."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row's result: the median turn of each server, in their order."""

    row: Ratio
    samples: tuple[Sample, ...]


def compare(row: Ratio, stage: Stage, servers: Sequence[Server]) -> Comparison:
    """Let the servers take turns."""
    turns: list[list[Sample]] = [[] for _ in servers]
    for number in range(stage.rounds):
        for server, samples in zip(servers, turns, strict=True):
            os.sync()  # what the last one left unwritten is not this one's burden
            server.remember_login()  # the rows are those of credentials that are cached
            samples.append(row.measure(stage, server, number))
    return Comparison(row, tuple(_median(samples) for samples in turns))


def _median(samples: Sequence[Sample]) -> Sample:
    return Sample(
        statistics.median(sample.rate for sample in samples),
        statistics.median(sample.cpu for sample in samples),
    )


class Meter:
    """Adds up time, and the server's CPU time, around pieces of work."""

    def __init__(self) -> None:
        self.cpu = 0.0
        self.seconds = 0.0

    @contextmanager
    def on(self, server: Server) -> Iterator[None]:
        """Everything within is counted."""
        cpu, clock = server.cpu_seconds(), time.perf_counter()
        yield
        self.seconds += time.perf_counter() - clock
        self.cpu += server.cpu_seconds() - cpu


def _repeated_gets(
    server: Server, url: str, connections: int, seconds: int, *, accept: str = "*/*"
) -> Sample:
    headers = [*server.headers, f"Accept: {accept}"]
    wrk(url, connections=connections, seconds=1, headers=headers)  # warm
    meter = Meter()
    with meter.on(server):
        load = wrk(url, connections=connections, seconds=seconds, headers=headers)
    return Sample(load.requests / load.seconds, meter.cpu / load.requests)


def _manifest_by_tag(stage: Stage, server: Server, number: int) -> Sample:
    with server.connect() as connection:
        push_image(connection, "bench/manifest", TAG, Image.make(f"manifest {number}"))
    url = f"{server.url}/v2/bench/manifest/manifests/{TAG}"
    return _repeated_gets(server, url, 32, stage.seconds, accept=MANIFEST_TYPE)


def _blob_gets(size: int, connections: int) -> Callable[[Stage, Server, int], Sample]:
    def measure(stage: Stage, server: Server, _number: int) -> Sample:
        return _repeated_gets(server, stage.blob(server, size), connections, stage.seconds)

    return measure


def large_blob_get(stage: Stage, server: Server, _number: int) -> Sample:
    size, url = 256 * MiB, stage.blob(server, 256 * MiB)
    curl_get(url, size=size, headers=server.headers)  # warm
    meter, loads = Meter(), []
    with meter.on(server):
        loads += [curl_get(url, size=size, headers=server.headers) for _ in range(stage.seconds)]
    return _transfer(size, loads, meter)


def large_blob_push(stage: Stage, server: Server, number: int) -> Sample:
    blob = Blob(256 * MiB, f"push {number}")
    file = stage.scratch / "blob"
    with file.open("wb") as output:
        output.writelines(blob.pieces())
        os.fsync(output.fileno())
    meter = Meter()
    with meter.on(server):
        with server.connect() as connection:
            location = begin_upload(connection, REPOSITORY)
        url = server.url + with_digest(location, blob.digest())
        load = curl_put(url, file, headers=server.headers)
    file.unlink()
    _free_memory_of(server)
    return _transfer(blob.size, [load], meter)


def _free_memory_of(server: Server) -> None:
    """Let the next turn use the memory that this one has kept its blob in.

    In a virtual machine, memory that nobody has used for long must first be fetched from the host,
    which can take longer than the whole push: whose turn it hits is chance.
    """
    os.sync()
    for path in server.root.rglob("*"):
        if path.is_file() and path.stat().st_size >= 256 * MiB:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _transfer(size: int, loads: Sequence[Load], meter: Meter) -> Sample:
    seconds = sum(load.seconds for load in loads)
    return Sample(size * len(loads) / MiB / seconds, meter.cpu / len(loads))


def _image_pushes(*, as_docker: bool) -> Callable[[Stage, Server, int], Sample]:
    def measure(stage: Stage, server: Server, number: int) -> Sample:
        meter, pushed, requests = Meter(), 0, 0
        with server.connect() as connection:
            while meter.seconds < stage.seconds:
                tag = f"{'patch' if as_docker else 'put'}-{number}-{pushed}"
                image = Image.make(tag)
                with meter.on(server):
                    requests += push_image(
                        connection, "bench/pushes", tag, image, as_docker=as_docker
                    )
                pushed += 1
        return Sample(pushed / meter.seconds, meter.cpu / requests)

    return measure


RATIOS: tuple[Ratio, ...] = (
    Ratio("manifest", "manifest GET by tag, 32 connections", "/s", 12, 24, _manifest_by_tag),
    Ratio("blob4k", "4 KiB blob GET, 32 connections", "/s", 25, 50, _blob_gets(4 * KiB, 32)),
    Ratio("blob1m", "1 MiB blob GET, 8 connections", "/s", 3, 6, _blob_gets(MiB, 8)),
    Ratio("blob256m", "256 MiB blob GET, one connection", "MiB/s", 1, None, large_blob_get),
    Ratio("push256m", "256 MiB blob push, POST + PUT", "MiB/s", 2.5, 3.2, large_blob_push),
    Ratio(
        "image",
        "image of ten 4 KiB layers, POST + PUT",
        "/s",
        1.5,
        4,
        _image_pushes(as_docker=False),
    ),
    Ratio(
        "image-patch", "the same, POST + PATCH + PUT", "/s", 1.5, 4, _image_pushes(as_docker=True)
    ),
)
