"""Floods: many of what is harmless once.  Memory stays flat, and others are served meanwhile."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing

import pytest

from tests.services.registry import RegistryServer

from .client import Client, exchange, statuses

Unharmed = Callable[..., AbstractContextManager[None]]
IDLE = 2000


@pytest.fixture
def many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * IDLE:
        pytest.skip(f"needs {2 * IDLE} open files, the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * IDLE)), hard))


@pytest.mark.usefixtures("many_files")
def test_idle_connections(fortress: RegistryServer, attacker: Client) -> None:
    """Each costs a few kilobytes, and nobody else any time."""
    attacker.get("/v2/")
    before = fortress.resident_bytes()
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(socket.create_connection(attacker.address, timeout=10))
        assert attacker.get("/v2/").status == 200
        assert fortress.resident_bytes() - before < IDLE * 20 * 1024
        began = time.monotonic()
        for _ in range(100):
            assert attacker.get("/v2/").status == 200
        assert time.monotonic() - began < 2


def slowest_answer_during(client: Client, attack: Callable[[], object]) -> float:
    """The longest that somebody else waits for an answer while the attack goes on, in seconds."""
    worst = 0.0
    thread = threading.Thread(target=attack)
    with closing(client.another()) as other:
        thread.start()
        while thread.is_alive():
            began = time.monotonic()
            assert other.get("/v2/").status == 200
            worst = max(worst, time.monotonic() - began)
            time.sleep(0.01)
        thread.join()
    return worst


def test_a_body_in_chunks_of_one_byte(attacker: Client, repo: str, unharmed: Unharmed) -> None:
    location = attacker.start_upload(repo)
    count = 300_000
    head = f"PATCH {location} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    request = f"{head}Connection: close\r\n\r\n".encode() + b"1\r\nx\r\n" * count + b"0\r\n\r\n"
    answers: list[bytes] = []

    def attack() -> None:
        answers.append(exchange(attacker.address, request, timeout=60))

    worst = slowest_answer_during(attacker, attack)
    assert statuses(answers[0]) == [202]
    assert attacker.get(location).header("Range") == f"0-{count - 1}"
    assert worst < 1
    assert attacker.delete(location).status == 204


def test_a_million_trailers(attacker: Client, repo: str, unharmed: Unharmed) -> None:
    """Sent as long as the server listens; it stops soon."""
    location = attacker.start_upload(repo)
    head = f"PATCH {location} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    request = (
        head.encode()
        + b"3\r\nabc\r\n0\r\n"
        + b"".join(b"X-%d: y\r\n" % n for n in range(1_000_000))
    )
    with unharmed():
        found = statuses(exchange(attacker.address, request, half_close=True, timeout=60))
        assert len(found) <= 1
        assert not found or 400 <= found[0] < 500
        with closing(attacker.another()) as again:
            assert again.delete(location).status == 204
            attacker.start_upload(repo)


def test_a_flood_of_bad_requests_is_logged_in_few_words(
    fortress: RegistryServer, attacker: Client
) -> None:
    before = fortress.log.stat().st_size
    for _ in range(300):
        exchange(attacker.address, b"GET /\0 HTTP/1.1\r\n\r\n")
    assert fortress.log.stat().st_size - before < 300 * 300


def test_connections_that_come_and_go(
    fortress: RegistryServer, attacker: Client, unharmed: Unharmed
) -> None:
    with unharmed():
        for _ in range(1000):
            socket.create_connection(attacker.address, timeout=10).close()
