"""More connections than there is room for."""

from __future__ import annotations

import asyncio
import logging
import resource

import pytest

from registry_server import crowd
from registry_server.crowd import Crowd, Place, allow_many_files
from registry_server.settings.model import ConnectionSettings
from tests.server.conftest import Serve
from tests.server.wire import Wire, request

MANY_FILES = 1_000_000
INSIDE, DOOR = Place.INSIDE, Place.AT_THE_DOOR


def crowd_of(*remotes: str, total: int = 100, peraddress: int = 2) -> tuple[Crowd, list[bool]]:
    """A crowd after connections from these addresses, and which of them found room."""
    found = Crowd(ConnectionSettings(total=total, peraddress=peraddress), MANY_FILES)
    return found, [found.enter(remote) is INSIDE for remote in remotes]


@pytest.mark.parametrize(
    ("remotes", "rooms"),
    [
        (["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"], [True, True, False, True]),
        (["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"], [True, True, False]),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3"], [True, True, False]),
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:1::3"], [True, True, True]),
        (["fe80::1%eth0", "fe80::2%eth1", "fe80::3"], [True, True, False]),
        (["127.0.0.1"] * 9, [True] * 9),
        (["::1"] * 9, [True] * 9),
        (["::ffff:127.0.0.1"] * 9, [True] * 9),
        ([""] * 9, [True] * 9),
    ],
)
def test_each_client_has_its_share(remotes: list[str], rooms: list[bool]) -> None:
    assert crowd_of(*remotes)[1] == rooms


def test_who_leaves_makes_room() -> None:
    found, _ = crowd_of("192.0.2.1", "192.0.2.1", "192.0.2.1")
    found.leave("192.0.2.1", DOOR)
    assert found.enter("192.0.2.1") is DOOR
    found.leave("192.0.2.1", INSIDE)
    assert found.enter("192.0.2.1") is INSIDE
    assert found.enter("192.0.2.1") is DOOR


def test_who_waits_at_the_door_takes_nobodys_place() -> None:
    _, rooms = crowd_of(*["192.0.2.1"] * 50, "192.0.2.2", total=10, peraddress=1)
    assert rooms == [True, *[False] * 49, True]


def test_all_together_have_a_number_too_and_loopback_counts_in_it() -> None:
    assert crowd_of("127.0.0.1", "127.0.0.1", "192.0.2.1", total=2)[1] == [True, True, False]


def test_few_open_files_are_fewer_connections() -> None:
    """Three for each that is inside, and one for each at the door, are never all of them."""
    found = Crowd(ConnectionSettings(), open_files=80)
    places = [found.enter("127.0.0.1") for _ in range(100)]
    assert places == [INSIDE] * 20 + [DOOR] * 10 + [Place.NOWHERE] * 70


def test_turning_away_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        crowd_of(*["192.0.2.1"] * 50)
    (record,) = caplog.records
    assert "more than 2 from 192.0.2.1" in record.getMessage()


def test_a_process_may_have_as_many_files_open_as_the_system_lets_it() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
        assert allow_many_files() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("target", ["/v2/", "/livez"])
async def test_one_too_many_is_told_to_come_back(serve: Serve, target: str) -> None:
    address = await serve(http={"connections": {"total": 2}})
    first, second = await Wire.to(address), await Wire.to(address)
    third = await Wire.to(address)
    third.send(request("GET", target))
    answer = await third.answer()
    assert (answer.status, answer.headers["connection"]) == (503, "close")
    assert int(answer.headers["retry-after"]) > 0
    assert b"too many connections" in answer.body
    assert await third.rest() == b""
    for wire in (first, second):
        wire.send(request("GET", "/v2/"))
        assert (await wire.answer()).status == 200
    await first.close()
    while True:
        fourth = await Wire.to(address)
        fourth.send(request("GET", "/v2/"))
        if (await fourth.answer()).status == 200:
            break


async def test_one_too_many_that_is_silent_ends_as_soon_as_a_head_would(serve: Serve) -> None:
    patience = {"head": "100ms", "keepalive": "1h"}
    address = await serve(http={"connections": {"total": 1}, "timeouts": patience})
    idle, silent = await Wire.to(address), await Wire.to(address)
    assert await silent.rest() == b""
    idle.send(request("GET", "/v2/"))
    assert (await idle.answer()).status == 200


async def test_many_too_many_end_at_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    address = await serve(http={"connections": {"total": 2}})
    wires = [await Wire.to(address) for _ in range(4)]
    assert await wires[-1].rest() == b""
    wires[-2].send(request("GET", "/v2/"))
    assert (await wires[-2].answer()).status == 503
    assert [record.name for record in caplog.records] == ["registry_server.crowd"]


async def test_the_share_of_an_address_holds_on_the_wire(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "client_of", lambda remote: b"one for all")
    address = await serve(http={"connections": {"peraddress": 1}})
    wires = [await Wire.to(address) for _ in range(3)]
    for wire in wires:
        wire.send(request("GET", "/v2/"))
    answers = await asyncio.gather(*(wire.answer() for wire in wires))
    assert sorted(answer.status for answer in answers) == [200, 503, 503]
