"""Blobs that leave by sendfile reach whom they are for, whole, and nobody else."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest

from registry_server.api import sendfile
from tests.server.conftest import Address, Serve
from tests.server.wire import Wire, push_blob, request

SIZE = 8 * 1024 * 1024
DATA = os.urandom(1024) * (SIZE // 1024)
ROUNDS = 3
STRANGERS = 8
ESTABLISHED = 1


@pytest.fixture(autouse=True, params=["copied", "by sendfile"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways that a blob can take."""
    chosen = str(request.param)
    monkeypatch.setattr(sendfile, "LARGE", 0 if chosen == "copied" else sys.maxsize)
    return chosen


@pytest.fixture
async def address(serve: Serve, tmp_path: Path) -> Address:
    parameters = {"rootdirectory": str(tmp_path / "store")}
    return await serve(storage={"driver": "filesystem", "parameters": parameters})


@pytest.fixture
async def target(address: Address) -> AsyncIterator[str]:
    wire = await Wire.to(address)
    yield await push_blob(wire, "big", DATA)
    await wire.close()


def asked(address: Address, target: str) -> socket.socket:
    """A client that has asked for the blob, and does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(address)
    client.sendall(request("GET", target))
    return client


class Gate:
    """Senders that wait for room stop here on their way back, while it is shut."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.opened.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    room = sendfile._Sending._room

    async def room_behind_the_gate(sending: sendfile._Sending) -> None:
        gate.reached.set()
        try:
            await room(sending)
        finally:
            await gate.opened.wait()

    monkeypatch.setattr(sendfile._Sending, "_room", room_behind_the_gate)
    return gate


async def test_a_blob_is_sent_whole_and_the_connection_goes_on(
    address: Address, target: str
) -> None:
    wire = await Wire.to(address)
    for fields, expected in [((), DATA), (("Range: bytes=5-5000004",), DATA[5:5_000_005])]:
        wire.send(request("GET", target, *fields))
        assert (await wire.answer()).body == expected
    wire.send(request("HEAD", target) + request("GET", "/v2/"))
    assert (await wire.answer(head_only=True)).headers["content-length"] == str(SIZE)
    assert (await wire.answer()).body == b"{}"


@pytest.mark.parametrize(("host", "used"), [("127.0.0.1", "preadv"), ("127.0.0.2", "sendfile")])
async def test_a_large_blob_is_copied_for_a_client_on_this_machine_only(
    address: Address, target: str, monkeypatch: pytest.MonkeyPatch, host: str, used: str
) -> None:
    monkeypatch.setattr(sendfile, "LARGE", SIZE)
    calls = {name: Mock(wraps=getattr(os, name)) for name in ("preadv", "sendfile")}
    for name, call in calls.items():
        monkeypatch.setattr(os, name, call)
    client = socket.create_connection(address, source_address=(host, 0))
    wire = Wire(*await asyncio.open_connection(sock=client))
    wire.send(request("GET", target))
    assert (await wire.answer()).body == DATA
    assert [name for name, call in calls.items() if call.called] == [used]


async def test_answers_that_are_asked_for_at_once_come_in_order(
    address: Address, target: str
) -> None:
    """The blob goes past the transport, whose buffer may still hold the answer before it."""
    wire = await Wire.to(address)
    wire.send((request("GET", "/v2/") + request("GET", target)) * 3)
    for _ in range(3):
        assert (await wire.answer()).body == b"{}"
        assert (await wire.answer()).body == DATA


async def test_who_shuts_the_sending_half_still_gets_all(address: Address, target: str) -> None:
    wire = await Wire.to(address)
    wire.send(request("GET", target))
    wire.half_close()
    assert (await wire.answer()).body == DATA
    assert await wire.rest() == b""


async def test_no_stranger_gets_the_blob_of_a_client_that_left(
    address: Address, target: str, gate: Gate
) -> None:
    """The stranger's connection gets the number that the client's had, and the blob with it, where
    the sender does not hold a descriptor of its own."""
    for _ in range(ROUNDS):
        gate.reached.clear()
        gate.opened.clear()
        client = asked(address, target)
        await gate.reached.wait()
        sockets = [socket.socket() for _ in range(STRANGERS)]
        without_both_ends = _descriptors() - 2
        _reset(client)
        await _settled(lambda most=without_both_ends: _descriptors() <= most)
        strangers = [await _connected(each, address) for each in sockets]
        gate.opened.set()
        for stranger in strangers:
            stranger.send(request("GET", "/v2/", "Connection: close"))
        received = [await stranger.rest() for stranger in strangers]
        assert all(raw.endswith(b"\r\n\r\n{}") for raw in received)
        assert all(raw.count(b"HTTP/1.1") == 1 and len(raw) < 1000 for raw in received)


async def _connected(stranger: socket.socket, address: Address) -> Wire:
    """Its own number is older than the one that the server gives it."""
    stranger.setblocking(False)
    await asyncio.get_running_loop().sock_connect(stranger, address)
    wire = Wire(*await asyncio.open_connection(sock=stranger))
    wire.send(request("GET", "/v2/"))
    await wire.answer()
    return wire


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def test_no_descriptor_is_left_behind(address: Address, target: str, gate: Gate) -> None:
    before = _descriptors()
    clients = [asked(address, target) for _ in range(5)]
    await gate.reached.wait()
    for client in clients:
        _reset(client)
    await _settled(lambda: _descriptors() <= before)


def _descriptors() -> int:
    """Open sockets and blobs; the catalog opens its files when it sees fit."""
    opened = (_opened(number) for number in os.listdir("/proc/self/fd"))
    return sum(path.startswith("socket:") or "/blobs/" in path for path in opened)


def _opened(number: str) -> str:
    with suppress(FileNotFoundError):
        return os.readlink(f"/proc/self/fd/{number}")
    return ""


async def _settled(condition: Callable[..., bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the kernel gives no event for it)
            await asyncio.sleep(0.01)


async def test_a_client_that_takes_nothing_is_given_up(serve: Serve, tmp_path: Path) -> None:
    parameters = {"rootdirectory": str(tmp_path / "store")}
    address = await serve(
        storage={"driver": "filesystem", "parameters": parameters},
        http={"timeouts": {"write": 0.2}},
    )
    target = await push_blob(await Wire.to(address), "big", DATA)
    client = asked(address, target)
    await _settled(lambda: _state(client) != ESTABLISHED)
    client.close()


def _state(client: socket.socket) -> int:
    """Of the connection, as the kernel numbers it."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def _file_of_the_blob(directory: Path) -> Path:
    files = [path for path in (directory / "store").rglob("*") if path.is_file()]
    [found] = [path for path in files if path.stat().st_size == SIZE]
    return found


async def test_a_file_that_is_too_short_is_no_answer(
    address: Address, target: str, tmp_path: Path
) -> None:
    file = _file_of_the_blob(tmp_path)
    os.truncate(file, SIZE - 1)
    wire = await Wire.to(address)
    wire.send(request("GET", target))
    assert (await wire.answer()).status == 500


async def test_a_file_that_is_gone_is_not_found(
    address: Address, target: str, tmp_path: Path
) -> None:
    file = _file_of_the_blob(tmp_path)
    file.unlink()
    wire = await Wire.to(address)
    wire.send(request("GET", target))
    assert (await wire.answer()).status == 404
