"""What a connection does that aiohttp's own would not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp.http_parser
import pytest

from registry_server import connections
from registry_server.connections import Server, check_values_in_force
from registry_server.crowd import Crowd
from registry_server.proxies import TrustedProxies
from registry_server.settings.model import ConnectionSettings, TimeoutSettings
from tests.server.conftest import Address, Serve, begin
from tests.server.wire import Wire, begin_upload, request, statuses

GET_BASE = request("GET", "/v2/")


@pytest.fixture
async def address(serve: Serve) -> Address:
    return await serve()


@pytest.fixture
async def wire(address: Address) -> AsyncIterator[Wire]:
    wire = await Wire.to(address)
    yield wire
    await wire.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async def never(_: object) -> None:
        raise AssertionError

    crowd = Crowd(ConnectionSettings(), open_files=100)
    proxies = TrustedProxies([])
    server = Server(never, lambda *_: None, TimeoutSettings(), crowd, proxies)  # type: ignore[arg-type, return-value]
    yield server
    await server.shutdown(0)


# The values in force


async def test_the_values_in_force_are_those_that_were_given(server: Server) -> None:
    check_values_in_force(server)
    assert server()._keepalive_timeout == TimeoutSettings().keepalive


async def test_a_value_that_aiohttp_does_not_know_stops_the_start(server: Server) -> None:
    server._kwargs["no_such_option"] = 1
    with pytest.raises(TypeError, match="no_such_option"):
        check_values_in_force(server)


async def test_a_value_that_is_not_in_force_stops_the_start(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_FIELD", 17)
    with pytest.raises(RuntimeError, match="max_field_size 65536 where 17"):
        check_values_in_force(server)


async def test_the_parser_in_python_stops_the_start(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = aiohttp.http_parser.HttpRequestParserPy
    monkeypatch.setattr(connections.aiohttp.http_parser, "HttpRequestParser", python)
    with pytest.raises(RuntimeError, match="C extension"):
        check_values_in_force(server)


async def test_bodies_arrive_as_they_were_sent(wire: Wire) -> None:
    """With `auto_decompress` at its default this blob would be stored expanded."""
    location = await begin_upload(wire, "a")
    wire.send(request("PATCH", location, "Content-Encoding: gzip", body=b"\x1f\x8b" * 50))
    assert (await wire.answer()).status == 415


# Clients that shut their sending half


async def test_all_that_was_asked_is_answered_after_a_half_close(wire: Wire) -> None:
    wire.send(request("GET", "/v2/") * 100)
    wire.half_close()
    assert statuses(await wire.rest()) == [200] * 100


async def test_a_half_closed_connection_that_asks_nothing_ends(wire: Wire) -> None:
    wire.send(request("GET", "/v2/"))
    await wire.answer()
    wire.half_close()
    assert await wire.rest() == b""


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_body_that_breaks_off_is_kept_so_far(address: Address, framing: str) -> None:
    wire = await Wire.to(address)
    location = await begin_upload(wire, "a")
    piece = b"5\r\nhello\r\n" if "chunked" in framing else b"hello"
    head = f"PATCH {location} HTTP/1.1\r\nHost: registry\r\n{framing}\r\n\r\n"
    wire.send(head.encode() + piece)
    wire.half_close()
    assert statuses(await wire.rest()) == [400]
    other = await Wire.to(address)
    other.send(request("GET", location))
    assert (await other.answer()).headers["range"] == "0-4"


# Malformed bodies


async def test_a_chunk_that_is_malformed_is_answered_at_once(address: Address) -> None:
    """aiohttp queues an error behind the request and leaves its handler waiting for the body."""
    wire = await Wire.to(address)
    location = await begin_upload(wire, "a")
    head = f"PATCH {location} HTTP/1.1\r\nHost: registry\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.send(head.encode() + b"5\r\nhello\r\n")
    await _round_trip(address)
    wire.send(b"-5\r\nhello\r\n")
    assert statuses(await wire.rest()) == [400]


async def _round_trip(address: Address) -> None:
    """After it the server, which runs on this loop, has read what was sent before."""
    wire = await Wire.to(address)
    wire.send(request("GET", "/v2/"))
    await wire.answer()
    await wire.close()


# Pipelining, HTTP/1.0, expectations


async def test_a_thousand_requests_at_once_are_answered_in_order(wire: Wire) -> None:
    targets = [f"/v2/a/manifests/v{number}" for number in range(1000)]
    wire.send(b"".join(request("GET", target) for target in targets))
    for target in targets:
        assert target.rpartition("/")[2] in (await wire.answer()).body.decode()


async def test_http_1_0_is_closed_unless_it_asks_otherwise(address: Address) -> None:
    wire = await Wire.to(address)
    wire.send(b"GET /v2/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (await wire.answer()).headers["connection"] == "keep-alive"
    wire.send(b"GET /v2/ HTTP/1.0\r\n\r\n")
    assert (await wire.answer()).headers["connection"] == "close"
    assert await wire.rest() == b""


async def test_who_asks_first_is_invited_only_to_what_can_be_done(wire: Wire) -> None:
    location = await begin_upload(wire, "a")
    fields = ("Expect: 100-continue", "Content-Length: 5")
    wire.send(request("PATCH", location, *fields).replace(b"Content-Length: 0\r\n", b""))
    assert (await wire.answer()).status == 100
    wire.send(b"hello")
    assert (await wire.answer()).headers["range"] == "0-4"
    unknown = location[:-32] + "0" * 32
    wire.send(request("PATCH", unknown, *fields).replace(b"Content-Length: 0\r\n", b""))
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (404, "close")
    assert await wire.rest() == b""


async def test_a_large_body_that_is_refused_ends_the_connection(wire: Wire) -> None:
    unknown = f"/v2/a/blobs/uploads/{'0' * 32}"
    wire.send(request("PATCH", unknown, body=b"x" * 1000))
    assert "connection" not in (await wire.answer()).headers
    wire.send(f"PATCH {unknown} HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n".encode())
    assert (await wire.answer()).headers["connection"] == "close"


# Ending


async def test_a_request_under_way_is_answered_while_the_server_drains() -> None:
    running, address = await begin()
    wire, idle = await Wire.to(address), await Wire.to(address)
    location = await begin_upload(wire, "a")
    head = f"PATCH {location} HTTP/1.1\r\nHost: registry\r\nContent-Length: 10\r\n\r\n"
    wire.send(head.encode() + b"hello")
    await _round_trip(address)
    draining = asyncio.create_task(running.drain())
    assert await idle.rest() == b""
    wire.send(b"world")
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (202, "close")
    assert answer.headers["range"] == "0-9"
    await draining
    with pytest.raises(ConnectionRefusedError):
        await Wire.to(address)


async def test_a_request_on_its_way_is_answered_though_the_server_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "PARTING_SECONDS", 30.0)
    running, address = await begin()
    pusher, fresh = await Wire.to(address), await Wire.to(address)
    location = await begin_upload(pusher, "a")
    draining = asyncio.create_task(running.drain())
    await _until_refused(address)
    for wire, asks in ((pusher, request("PATCH", location, body=b"hello")), (fresh, GET_BASE)):
        wire.send(asks)
        answer = await wire.answer()
        assert (answer.status // 100, answer.headers["connection"]) == (2, "close")
        assert await wire.rest() == b""
    await asyncio.wait_for(draining, 10)


async def test_who_stays_silent_does_not_hold_the_end_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PARTING_SECONDS", 0.01)
    running, address = await begin()
    silent, asked = await Wire.to(address), await Wire.to(address)
    asked.send(GET_BASE)
    await asked.answer()
    await asyncio.wait_for(running.drain(), 10)
    assert [await wire.rest() for wire in (silent, asked)] == [b"", b""]


async def _until_refused(address: Address) -> None:
    with suppress(ConnectionRefusedError):
        while True:
            await (await Wire.to(address)).close()
