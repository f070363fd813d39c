"""How long the server waits for clients that send or read slowly, or not at all.

The server's limits are set to one second here; a slow machine may make its answers late, but never
early, so each test allows for several times that.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from .client import Client
from .conftest import Serve
from .content import blob
from .promises import OURS

pytestmark = pytest.mark.slow

LIMIT = 1.0
LATE = 8.0
"""Seconds from the moment when the server ought to have closed, after which the test gives up."""


@pytest.fixture(scope="module")
def impatient(serve: Serve) -> str:
    names = ("HEAD", "BODY", "WRITE", "KEEPALIVE")
    return serve({f"REGISTRY_HTTP_TIMEOUTS_{name}": f"{LIMIT:g}s" for name in names}).url


@pytest.fixture
def steady(impatient: str) -> Iterator[Client]:
    """A client like any other, who must never notice the slow ones."""
    with closing(Client(impatient, promises=OURS)) as client:
        yield client


def connect(client: Client, **options: int) -> socket.socket:
    connection = socket.socket()
    if "receive_buffer" in options:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["receive_buffer"])
    connection.settimeout(LIMIT + LATE)
    connection.connect(client.address)
    return connection


def seconds_until_closed(connection: socket.socket) -> tuple[float, bytes]:
    """How long the server keeps the connection open, and what it says before it goes."""
    began = time.monotonic()
    received = bytearray()
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return time.monotonic() - began, bytes(received)


def drip(connection: socket.socket, pause: float) -> float:
    """Send a byte after each pause until the server has closed; how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < LIMIT + LATE:
        time.sleep(pause)
        try:
            connection.sendall(b"x")
        except (BrokenPipeError, ConnectionResetError):
            return time.monotonic() - began
    raise AssertionError("the server still listens")


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Slow: "])
def test_a_head_that_does_not_come(steady: Client, sent: bytes) -> None:
    with connect(steady) as connection:
        connection.sendall(sent)
        seconds, said = seconds_until_closed(connection)
        assert LIMIT * 0.5 < seconds < LATE
        assert said == b"" or said.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))
    assert steady.get("/v2/").status == 200


def test_a_head_that_comes_byte_by_byte(steady: Client) -> None:
    """Each byte is in time, the head as a whole is not."""
    with connect(steady) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        assert drip(connection, pause=LIMIT / 5) > LIMIT * 0.5


def test_a_connection_that_nobody_uses_any_more(steady: Client) -> None:
    with connect(steady) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
        seconds, said = seconds_until_closed(connection)
        assert LIMIT * 0.5 < seconds < LATE
        assert said == b""


def _patch_head(location: str, length: int) -> bytes:
    return f"PATCH {location} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_body_that_does_not_come(steady: Client, repo: str) -> None:
    """What came is kept, and the upload goes on over another connection."""
    location = steady.start_upload(repo)
    with connect(steady) as connection:
        connection.sendall(_patch_head(location, 1000) + b"x" * 100)
        seconds, said = seconds_until_closed(connection)
        assert LIMIT * 0.5 < seconds < LATE
        assert said == b"" or said.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))
    with closing(steady.another()) as again:
        assert again.get(location).header("Range") == "0-99"


def test_a_body_that_comes_byte_by_byte(steady: Client, repo: str) -> None:
    location = steady.start_upload(repo)
    with connect(steady) as connection:
        connection.sendall(_patch_head(location, 1000))
        assert drip(connection, pause=LIMIT / 5) > LIMIT * 0.5


def test_a_body_that_comes_slowly_but_steadily(steady: Client, repo: str) -> None:
    """Longer in all than the limit, but never stalled."""
    location = steady.start_upload(repo)
    pieces = [b"x" * 2000 for _ in range(12)]

    def slowly() -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            time.sleep(LIMIT / 4)

    answer = steady.patch(location, slowly())
    assert answer.status == 202
    assert answer.header("Range") == f"0-{sum(map(len, pieces)) - 1}"


@pytest.fixture(scope="module")
def large(impatient: str) -> tuple[str, int]:
    """Where a blob is that no buffer of the system holds, and its size."""
    data = blob(48 * 1024 * 1024, "never read")
    with closing(Client(impatient)) as client:
        return f"/v2/patience/blobs/{client.push_blob('patience', data)}", len(data)


@pytest.mark.parametrize("ranges", ["", "Range: bytes=0-20000000,20000001-40000000\r\n"])
def test_an_answer_that_nobody_reads(steady: Client, large: tuple[str, int], ranges: str) -> None:
    """The server gives up: what was not sent by then never comes."""
    target, size = large
    with connect(steady, receive_buffer=4096) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n{ranges}\r\n".encode())
        time.sleep(LIMIT * 3)
        _, said = seconds_until_closed(connection)
        assert len(said) < size // 2
    with closing(steady.another()) as again:
        assert again.get("/v2/").status == 200


def test_an_answer_that_is_read_slowly_but_steadily(steady: Client, large: tuple[str, int]) -> None:
    target, size = large
    with connect(steady, receive_buffer=1024 * 1024) as connection:
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        )
        received = 0
        while data := connection.recv(4 * 1024 * 1024):
            received += len(data)
            time.sleep(LIMIT / 100)
    assert received > size
