"""Whom trusted proxies speak for, and that nobody else is believed."""

from __future__ import annotations

import tempfile
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict, CIMultiDictProxy

from registry_server.app import _as_sent
from registry_server.operations.access_log import Access, AccessLog
from registry_server.proxies import MAX_HOPS, Origin, TrustedProxies
from registry_server.settings.hub import RateSettings
from tests.server.conftest import Address, Serve
from tests.server.wire import Wire, begin_upload, request

OURS = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
PROXY = "10.0.0.1"
CLIENT = "198.51.100.7"
LIAR = "203.0.113.9"

TOO_MANY = RateSettings.model_validate({}).logins + 1

LOOPBACK: dict[str, Any] = {"trustedproxies": ["127.0.0.0/8"]}
OTHERS: dict[str, Any] = {"trustedproxies": ["10.0.0.0/8"]}


def origin(*fields: tuple[str, str]) -> Origin:
    return OURS.origin(CIMultiDictProxy(CIMultiDict(fields)), PROXY)


def client_by(name: str, *values: str) -> str:
    return origin(*((name, value) for value in values)).remote


# Who is a proxy of ours


@pytest.mark.parametrize("remote", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0"])
def test_what_lies_in_the_networks_is_ours(remote: str) -> None:
    assert OURS.include(remote)


@pytest.mark.parametrize("remote", ["11.0.0.1", "::1", "2001:db8::1", ""])
def test_nobody_else_is(remote: str) -> None:
    assert not OURS.include(remote)
    assert not TrustedProxies([]).include(remote)


# Whom they name


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([CLIENT], CLIENT),
        ([f"{LIAR}, {CLIENT}"], CLIENT),
        ([LIAR, CLIENT], CLIENT),
        ([f"{LIAR}, {CLIENT}, 10.0.0.3,10.0.0.2"], CLIENT),
        ([f"{LIAR}, 10.0.0.3, {CLIENT}"], CLIENT),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ([f"{CLIENT}:4711"], CLIENT),
        (["2001:db8::7"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["[2001:db8::7]:4711, fd00::2"], "2001:db8::7"),
        (["::ffff:198.51.100.7"], CLIENT),
        (["  198.51.100.7\t"], CLIENT),
    ],
)
def test_the_last_address_that_is_not_ours_is_the_client(values: list[str], client: str) -> None:
    assert client_by("X-Forwarded-For", *values) == client


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("", PROXY),
        ("unknown", PROXY),
        ("example.org", PROXY),
        ("1.2.3.4.5", PROXY),
        ("999.1.1.1", PROXY),
        ("[", PROXY),
        ("٤.1.1.1", PROXY),
        (f"{LIAR},", PROXY),
        (f"{LIAR}, unknown", PROXY),
        (f"{LIAR}, unknown, 10.0.0.2", "10.0.0.2"),
        (f"{LIAR}, <script>, 10.0.0.2", "10.0.0.2"),
    ],
)
def test_what_cannot_be_read_ends_the_search_at_who_wrote_it(value: str, client: str) -> None:
    assert client_by("X-Forwarded-For", value) == client


def test_a_list_is_not_followed_without_end() -> None:
    assert client_by("X-Forwarded-For", ", ".join([LIAR, *["10.0.0.2"] * MAX_HOPS])) == "10.0.0.2"
    assert client_by("X-Forwarded-For", ", ".join([CLIENT, *["10.0.0.2"] * 5])) == CLIENT


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([f"for={CLIENT}"], CLIENT),
        ([f"For={LIAR}, FOR={CLIENT};proto=https"], CLIENT),
        ([f"for={LIAR}", f"for={CLIENT};by=10.0.0.1"], CLIENT),
        (['for="[2001:db8::7]:4711"'], "2001:db8::7"),
        ([f'for="{LIAR}",for="{CLIENT}:80" ; host="a\\"b,c;for=1.1.1.1"'], CLIENT),
        ([f"for={CLIENT},, for=10.0.0.2 ,"], CLIENT),
        ([f"for={LIAR}, proto=https"], PROXY),
        (["for=_hidden"], PROXY),
        (["for=unknown, for=10.0.0.2"], "10.0.0.2"),
    ],
)
def test_forwarded_is_read_as_its_standard_says(values: list[str], client: str) -> None:
    assert client_by("Forwarded", *values) == client


@pytest.mark.parametrize("made_up", [f'for={LIAR};x="', f'for={LIAR};x="\\', f"for={LIAR};=", "?"])
@pytest.mark.parametrize("added", [f"for={CLIENT}", 'for="[2001:db8::7]:1"', 'for="1.1.1.1";by=""'])
def test_an_open_quote_does_not_swallow_what_the_proxy_adds(made_up: str, added: str) -> None:
    assert client_by("Forwarded", f"{made_up}, {added}") == PROXY


@pytest.mark.parametrize("made_up", [f"for={LIAR}", "for=unknown", "?", "proto=https"])
def test_a_client_cannot_choose_the_list_that_its_proxy_does_not_keep(made_up: str) -> None:
    assert origin(("X-Forwarded-For", CLIENT), ("Forwarded", made_up)) == Origin(PROXY)


def test_two_lists_that_agree_count() -> None:
    both = origin(("X-Forwarded-For", CLIENT), ("Forwarded", f"for={CLIENT};proto=https"))
    assert both.remote == CLIENT


# What it spoke, and with whom


@pytest.mark.parametrize(
    "fields",
    [
        {"For": CLIENT, "Proto": "https", "Host": "hub.example.org:8443"},
        {"For": CLIENT, "Proto": "HTTPS", "Host": "hub.example.org:8443"},
        {"For": f"{LIAR}, {CLIENT}", "Proto": "http, https", "Host": "a, hub.example.org:8443"},
        {
            "For": f"{CLIENT}, 10.0.0.2",
            "Proto": "https, http",
            "Host": "hub.example.org:8443,inner",
        },
        {"For": f"{LIAR}, {CLIENT}, 10.0.0.2", "Proto": "https", "Host": "hub.example.org:8443"},
    ],
)
def test_scheme_and_host_are_those_of_the_outermost_proxy(fields: dict[str, str]) -> None:
    found = origin(*((f"X-Forwarded-{name}", value) for name, value in fields.items()))
    assert found == Origin(CLIENT, "https", "hub.example.org:8443")


def test_scheme_and_host_may_come_alone() -> None:
    found = origin(("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "[2001:db8::1]:443"))
    assert found == Origin(PROXY, "https", "[2001:db8::1]:443")


def test_forwarded_tells_scheme_and_host_too() -> None:
    value = f'for={LIAR};proto=http, for={CLIENT};proto=https;host="hub.example.org:1",for=10.0.0.2'
    assert origin(("Forwarded", value)) == Origin(CLIENT, "https", "hub.example.org:1")


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "evil.example?x=", 'x"y', "a:b", "", "a:"])
def test_what_is_no_host_or_scheme_is_not_taken(host: str) -> None:
    found = origin(("X-Forwarded-Host", host), ("X-Forwarded-Proto", "javascript"))
    assert found == Origin(PROXY)


def test_pages_see_the_client_as_well() -> None:
    headers = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub"}
    page = _as_sent(make_mocked_request("GET", "/", headers).clone(remote=PROXY), OURS)
    assert (page.remote, page.scheme, page.host) == (CLIENT, "https", "hub")
    assert str(page.url) == "https://hub/"


# On the wire

FORWARDED = [
    f"X-Forwarded-For: {CLIENT}",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: hub.example.org",
]


async def location(wire: Wire, *fields: str) -> str:
    wire.send(request("POST", "/v2/a/blobs/uploads/", *fields))
    return (await wire.answer()).headers["location"].partition("/v2/")[0]


async def test_absolute_urls_are_those_that_the_client_used(serve: Serve) -> None:
    trusting = await Wire.to(await serve(http=LOOPBACK | {"relativeurls": False}))
    assert await location(trusting, *FORWARDED) == "https://hub.example.org"
    assert await location(trusting) == "http://registry"
    named = {"host": "https://registry.example.org", "relativeurls": False}
    trusting = await Wire.to(await serve(http=LOOPBACK | named))
    assert await location(trusting, *FORWARDED) == "https://registry.example.org"


async def test_others_cannot_say_how_they_reach_the_registry(serve: Serve) -> None:
    wire = await Wire.to(await serve(http=OTHERS | {"relativeurls": False}))
    forwarded = f"Forwarded: for={CLIENT};host=hub.example.org;proto=https"
    assert await location(wire, *FORWARDED) == "http://registry"
    assert await location(wire, forwarded) == "http://registry"
    wire = await Wire.to(await serve(http=LOOPBACK))
    assert await location(wire, *FORWARDED) == ""


async def test_the_log_names_the_client(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def record(_: AccessLog, access: Access) -> None:
        seen.append(access.client)

    monkeypatch.setattr(AccessLog, "record", record)
    for http in (LOOPBACK, OTHERS):
        wire = await Wire.to(await serve(http=http, log={}))
        wire.send(request("GET", "/v2/", *FORWARDED))
        await wire.answer()
    assert seen == [CLIENT, "127.0.0.1"]


@pytest.fixture
async def ask_to_log_in(serve: Serve, tmp_path: Path) -> Serve:
    """Start a server with users, which counts failed logins for itself."""
    file = tmp_path / "htpasswd"
    file.write_text(f"ann:{bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}\n")

    async def start(http: dict[str, Any]) -> Address:
        data = {"directory": tempfile.mkdtemp(dir=tmp_path)}
        return await serve(http=http, data=data, auth={"htpasswd": {"path": str(file)}})

    return start


async def statuses_of_wrong_logins(wire: Wire, *clients: str) -> list[int]:
    statuses = []
    for client in clients:
        wrong = "Authorization: Basic YW5uOndyb25n"
        wire.send(request("GET", "/v2/", wrong, f"X-Forwarded-For: {client}"))
        statuses.append((await wire.answer()).status)
    return statuses


async def test_each_client_behind_a_proxy_tries_passwords_for_itself(
    ask_to_log_in: Serve,
) -> None:
    wire = await Wire.to(await ask_to_log_in(LOOPBACK))
    statuses = await statuses_of_wrong_logins(wire, *[f"{LIAR}, {CLIENT}"] * TOO_MANY)
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert await statuses_of_wrong_logins(wire, LIAR, CLIENT) == [401, 429]


async def test_who_makes_up_addresses_gains_no_tries(ask_to_log_in: Serve) -> None:
    wire = await Wire.to(await ask_to_log_in(OTHERS))
    made_up = [f"198.51.100.{n}" for n in range(TOO_MANY)]
    assert (await statuses_of_wrong_logins(wire, *made_up))[-1] == 429
    wire = await Wire.to(await ask_to_log_in(LOOPBACK))
    behind = [f"{address}, {CLIENT}" for address in made_up]
    assert (await statuses_of_wrong_logins(wire, *behind))[-1] == 429


@pytest.mark.parametrize("target", ["/v2/", "/livez"])
async def test_each_client_behind_a_proxy_has_its_share(serve: Serve, target: str) -> None:
    address = await serve(http=LOOPBACK | {"connections": {"peraddress": 1}})
    busy, other = await Wire.to(address), await Wire.to(address)
    upload = await begin_upload(busy, "a")
    patch = request("PATCH", upload, *FORWARDED, "Expect: 100-continue", body=b"content")
    busy.send(patch[: -len(b"content")])
    await busy.reader.readuntil(b"100 Continue\r\n\r\n")
    other.send(request("GET", target, "X-Forwarded-For: 192.0.2.1"))
    assert (await other.answer()).status == 200
    other.send(request("GET", target, *FORWARDED))
    refused = await other.answer()
    assert (refused.status, refused.headers["connection"]) == (503, "close")
    busy.send(b"content")
    assert (await busy.answer()).status == 202
    again = await Wire.to(address)
    again.send(request("GET", target, *FORWARDED))
    assert (await again.answer()).status == 200
