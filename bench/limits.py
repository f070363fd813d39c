"""What this server must hold by itself: memory, what a page and a token cost, fair writers."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes, seeding, tokens, worlds
from bench.client import Connection, begin_upload, push_blob, push_image, with_digest
from bench.content import Blob, GiB, Image, KiB, MiB
from bench.servers import Server, ours
from bench.tools import wrk

MEMORY_BAR = 150 * MiB
GROWTH_BAR = 1.1
PAGE_BAR = 1.5
TOKEN_BAR = 1.15
WORLDS_BAR = 1.1
SHARE_BAR = 0.5
ANSWER_BAR = 1.0
"""Seconds: no commit waits for seconds."""

WORKERS = 2
CLIENTS_PER_WORKER = 8


@dataclass(frozen=True, slots=True)
class Effort:
    """How far to go."""

    seconds: int
    blob_size: int
    most_rows: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What was measured, for a reader, and whether it holds."""

    measured: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """A row: what is measured, and what is wanted."""

    key: str
    title: str
    bar: str
    measure: Callable[[Path, Effort], Finding]


def _memory(scratch: Path, effort: Effort) -> Finding:
    blob = Blob(effort.blob_size, "memory")
    early = min(GiB, blob.size // 4)
    peaks: list[int] = []

    def watched(server: Server) -> Iterator[bytes]:
        for number, piece in enumerate(blob.pieces()):
            if number * MiB == early:
                peaks.append(processes.peak_memory(server.pid))
            yield piece

    with ours(scratch, workers=WORKERS, name="memory") as server, server.connect() as connection:
        location = with_digest(begin_upload(connection, "bench/large"), blob.digest())
        began = time.perf_counter()
        connection.request("PUT", location, expect=201, body=watched(server), size=blob.size)
        speed = blob.size / MiB / (time.perf_counter() - began)
        peaks.append(processes.peak_memory(server.pid))
    sizes = (f"{early / GiB:g}", f"{blob.size / GiB:g}")
    told = ", ".join(
        f"{peak / MiB:.0f} MiB at {size} GiB" for peak, size in zip(peaks, sizes, strict=True)
    )
    flat = peaks[1] <= peaks[0] * GROWTH_BAR
    return Finding(f"{told}, at {speed:.0f} MiB/s", flat and peaks[1] <= MEMORY_BAR)


def _pages(path: str, seed: Callable[[Path, int], str]) -> Callable[[Path, Effort], Finding]:
    """The server's CPU time for a page in the middle of a growing list, which others on the machine
    do not change; `seed` adds rows and names the middle one."""

    def measure(scratch: Path, effort: Effort) -> Finding:
        times: dict[int, float] = {}
        name = f"pages-{seed.__name__}"
        with ours(scratch, workers=1, name=name) as server, server.connect() as connection:
            push_image(connection, seeding.REPOSITORY, "latest", Image.make("listing"))
        for rows in _powers_of_ten(1000, effort.most_rows):
            middle = seed(server.root, rows)
            with ours(scratch, workers=1, name=name) as server:
                url = f"{server.url}/v2/{path}?n=100&last={middle}"
                headers = server.headers
                wrk(url, connections=2, seconds=1, headers=headers)  # warm
                before = server.cpu_seconds()
                load = wrk(url, connections=2, seconds=effort.seconds, headers=headers)
                times[rows] = (server.cpu_seconds() - before) / load.requests
        told = ", ".join(f"{took * 1000:.2f} ms at {rows:,}" for rows, took in times.items())
        ratio = max(times.values()) / times[1000]
        return Finding(f"{told}: {ratio:.2f}x", ratio <= PAGE_BAR)

    return measure


def _powers_of_ten(first: int, last: int) -> Iterator[int]:
    while first <= last:
        yield first
        first *= 10


@dataclass(slots=True)
class _Tally:
    """What one client saw."""

    pushed: int = 0
    slowest: float = 0.0
    error: Exception | None = field(default=None)

    def push_until(self, deadline: float, connection: Connection, name: str) -> None:
        """Push small blobs, each a commit or two, and note how long an answer took."""
        try:
            while time.monotonic() < deadline:
                data = Blob(4 * KiB, f"{name} {self.pushed}").read()
                began = time.monotonic()
                push_blob(connection, "bench/fair", data)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.pushed += 1
        except Exception as error:
            self.error = error


def _fairness(scratch: Path, effort: Effort) -> Finding:
    with ours(scratch, workers=WORKERS, name="fair") as server, ExitStack() as stack:
        groups = _clients_of_each_worker(server, stack)
        tallies = {worker: [_Tally() for _ in clients] for worker, clients in groups.items()}
        deadline = time.monotonic() + effort.seconds
        threads = [
            threading.Thread(target=tally.push_until, args=(deadline, client, f"{worker} {number}"))
            for worker, clients in groups.items()
            for number, (client, tally) in enumerate(zip(clients, tallies[worker], strict=True))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return _verdict_on(list(tallies.values()))


def _clients_of_each_worker(server: Server, stack: ExitStack) -> dict[int, list[Connection]]:
    """Eight connections to each worker.  The kernel spreads connections by their ports, so connect
    until every worker has enough, and let go of the rest."""
    groups: dict[int, list[Connection]] = defaultdict(list)
    while len(groups) < WORKERS or min(map(len, groups.values())) < CLIENTS_PER_WORKER:
        connection = stack.enter_context(server.connect())
        connection.request("GET", "/v2/", expect=200)
        owner = processes.socket_owners(server.pid, server.port)[connection.local_port]
        groups[owner].append(connection)
    return {worker: clients[:CLIENTS_PER_WORKER] for worker, clients in groups.items()}


def _verdict_on(workers: list[list[_Tally]]) -> Finding:
    everyone = [tally for tallies in workers for tally in tallies]
    for tally in everyone:
        if tally.error:
            raise tally.error
    shares = [sum(tally.pushed for tally in tallies) for tallies in workers]
    slowest = max(tally.slowest for tally in everyone)
    told = f"{' : '.join(map(str, shares))} pushes, slowest {slowest * 1000:.0f} ms"
    return Finding(told, min(shares) >= SHARE_BAR * max(shares) and slowest < ANSWER_BAR)


def _token_check(scratch: Path, effort: Effort) -> Finding:
    plain, checked = tokens.cpu_per_request(scratch, effort.seconds)
    told = f"{plain * 1e6:.0f} us open, {checked * 1e6:.0f} us with a token"
    ratio = checked / plain
    return Finding(f"{told}: {ratio:.2f}x", ratio <= TOKEN_BAR)


def _worlds(scratch: Path, _: Effort) -> Finding:
    found = worlds.ratios(scratch)
    worst = max(found, key=found.__getitem__)
    told = f"at most {found[worst]:.2f}x, for {worst}"
    return Finding(told, found[worst] <= WORLDS_BAR)


LIMITS: tuple[Limit, ...] = (
    Limit(
        "memory",
        "most resident memory of a worker while a large blob is pushed",
        f"<= {MEMORY_BAR // MiB} MiB, flat",
        _memory,
    ),
    Limit(
        "tags",
        "a page of the tag list, as rows grow",
        f"<= {PAGE_BAR}x",
        _pages(f"{seeding.REPOSITORY}/tags/list", seeding.tags),
    ),
    Limit(
        "catalog",
        "a page of the catalog, as rows grow",
        f"<= {PAGE_BAR}x",
        _pages("_catalog", seeding.repositories),
    ),
    Limit(
        "token-manifest",
        "CPU of a GET of a manifest, with and without checking a token",
        f"<= {TOKEN_BAR}x",
        _token_check,
    ),
    Limit(
        "two-worlds",
        "time of a stranger's requests, where others keep images private and where they have none",
        f"medians within {WORLDS_BAR}x",
        _worlds,
    ),
    Limit(
        "fair",
        f"two workers on SQLite, {CLIENTS_PER_WORKER} pushing clients each",
        "shares within 1 : 2, no answer takes a second",
        _fairness,
    ),
)
