"""What checking a token costs a pull: the same manifest from an open server and behind the hub."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.accounts import bearer, with_accounts
from bench.client import push_image
from bench.content import MANIFEST_TYPE, Image
from bench.servers import USER, Server, ours
from bench.tools import wrk

REPOSITORY = f"{USER}/manifest"
ROUNDS = 5
CONNECTIONS = 16


def cpu_per_request(scratch: Path, seconds: int) -> tuple[float, float]:
    """CPU seconds for each GET of a manifest: of the open server, and of the one with tokens."""
    with _open_server(scratch) as open_server, _guarded_server(scratch) as guarded:
        servers = (open_server, guarded)
        turns = [[_measure(server, seconds) for server in servers] for _ in range(ROUNDS)]
    plain, checked = zip(*turns, strict=True)
    return statistics.median(plain), statistics.median(checked)


@contextmanager
def _open_server(scratch: Path) -> Iterator[Server]:
    with ours(scratch, workers=1, name="token-open", access=({"none": {}}, None)) as server:
        _push(server)
        yield server


@contextmanager
def _guarded_server(scratch: Path) -> Iterator[Server]:
    with with_accounts(scratch, "token-hub", USER) as server:
        token = bearer(server, f"repository:{REPOSITORY}:pull,push", user=USER)
        guarded = replace(server, authorization=token)
        _push(guarded)
        yield guarded


def _push(server: Server) -> None:
    with server.connect() as connection:
        push_image(connection, REPOSITORY, "latest", Image.make("manifest"))


def _measure(server: Server, seconds: int) -> float:
    url = f"{server.url}/v2/{REPOSITORY}/manifests/latest"
    headers = [*server.headers, f"Accept: {MANIFEST_TYPE}"]
    wrk(url, connections=CONNECTIONS, seconds=1, headers=headers)  # warm
    before = server.cpu_seconds()
    load = wrk(url, connections=CONNECTIONS, seconds=seconds, headers=headers)
    return (server.cpu_seconds() - before) / load.requests
