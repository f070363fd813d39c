r"""Requests that are no HTTP, or HTTP that servers have been broken by; one file each in `corpus/`.

A file says in comments why it is there and what is right, then the request: its lines joined,
with `\r\n` and such written out, `@REPO@` for a repository and `@UPLOAD@` for an open upload.

    # why:      for people
    # answers:  the status codes that are right, `none` for a connection closed without an answer
    # half:     `yes` if the client closes its side: what it began is never completed

After each the server must close the connection, be it that the request itself asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.registry import RegistryServer

from .client import Client, exchange, statuses
from .content import image

CORPUS = Path(__file__).parent / "corpus"
Unharmed = Callable[..., AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One request of the corpus, and what is right."""

    name: str
    request: bytes
    answers: frozenset[str]
    half_close: bool


_NOTE = re.compile(r"# (\w+): +(.*)")


def read_case(path: Path) -> Case:
    lines = path.read_text().splitlines()
    notes = {found[1]: found[2] for line in lines if (found := _NOTE.fullmatch(line))}
    assert notes["why"], path
    body = "".join(line for line in lines if not _NOTE.fullmatch(line))
    request = body.encode().decode("unicode_escape").encode("latin-1")
    return Case(path.stem, request, frozenset(notes["answers"].split()), notes.get("half") == "yes")


CASES = [read_case(path) for path in sorted(CORPUS.glob("*.http"))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_corpus(attacker: Client, repo: str, unharmed: Unharmed, case: Case) -> None:
    image("corpus").push(attacker, repo, "v1")
    location = attacker.start_upload(repo)
    request = case.request.replace(b"@REPO@", repo.encode())
    request = request.replace(b"@UPLOAD@", location.encode())
    with unharmed():
        raw = exchange(attacker.address, request, half_close=case.half_close)
        found = statuses(raw)
        assert len(found) <= 1, raw
        assert (str(found[0]) if found else "none") in case.answers, raw
        assert b"Traceback" not in raw
        assert b"aiohttp" not in raw.lower()
    assert attacker.get(f"/v2/{repo}/manifests/v1").body == image("corpus").manifest
    assert attacker.get(location).header("Range") == "0-0"


def _request(*fields: str, target: str = "/v2/", method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: registry", *fields, "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    "request_",
    [
        _request(target="/v2/" + "x" * 20_000),
        _request(target="/v2/?" + "x" * 100_000),
        _request("X-Long: " + "x" * 100_000),
        _request("X" * 70_000 + ": long name"),
        _request(*(f"X-Many-{n}: x" for n in range(140))),
        _request(*(f"X-Many-{n}: x" for n in range(100_000))),
        _request("Authorization: Basic " + "x" * 100_000),
        b"GET /v2/ HTTP/1.1\r\n" + b"x" * 1_000_000,
        b"\r\n" * 100_000,
        b"x" * 1_000_000,
    ],
    ids=[
        *("target of 20 KB", "query of 100 KB", "header of 100 KB", "name of 70 KB"),
        *("140 headers", "100,000 headers", "credentials of 100 KB"),
        *("endless header line", "endless empty lines", "endless request line"),
    ],
)
def test_heads_beyond_all_measure(attacker: Client, unharmed: Unharmed, request_: bytes) -> None:
    with unharmed():
        found = statuses(exchange(attacker.address, request_, half_close=True))
        assert len(found) <= 1
        assert not found or 400 <= found[0] < 500


@pytest.mark.parametrize("count", [500, 10_000])
def test_thousands_of_cookies(attacker: Client, unharmed: Unharmed, count: int) -> None:
    """Nothing here reads cookies, so nothing is said about bad ones."""
    cookies = "; ".join(f"a{n}=bad[@" for n in range(count))
    with unharmed():
        found = statuses(exchange(attacker.address, _request(f"Cookie: {cookies}")))
        assert found in ([200], [400])


def test_a_range_field_of_twenty_kilobytes_is_legal(attacker: Client, repo: str) -> None:
    """Podman sends it for a partial pull."""
    digest = attacker.push_blob(repo, b"x" * 100_000)
    field = "bytes=" + ",".join(f"{n * 20}-{n * 20 + 1}" for n in range(1800))
    assert len(field) > 19_000
    answer = attacker.get(f"/v2/{repo}/blobs/{digest}", Range=field)
    assert answer.status == 206


def test_credentials_of_sixty_kilobytes_fit(attacker: Client) -> None:
    """Tokens with many scopes are long."""
    answer = attacker.get("/v2/", Authorization="Bearer " + "x" * 60_000)
    assert answer.status in (200, 401)


@pytest.mark.parametrize("form", ["multipart/form-data; boundary=x", "multipart/mixed; boundary=x"])
def test_forms_are_just_bytes(attacker: Client, repo: str, unharmed: Unharmed, form: str) -> None:
    """Tens of thousands of parts of a negative length are never taken apart."""
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Length: -1\r\n\r\n\r\n'
    attacker.push_blob(repo, b"so that the repository exists")
    with unharmed():
        target = f"/v2/{repo}/manifests/v1"
        answer = attacker.put(target, part * 40_000, Content_Type=form)
        assert answer.status in (400, 415)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Content-Type", "application/json%0d%0aX-Injected: yes"),
        ("Content-Type", "text/\xe9"),
        ("Content-Type", "/"),
        ("Content-Type", "x" * 5000),
        ("Content-Type", "a/b\x0bc"),
    ],
)
def test_what_is_sent_back_in_headers_is_clean(
    attacker: Client, repo: str, field: str, value: str
) -> None:
    manifest = b'{"anything": 1}'
    answer = attacker.request("PUT", f"/v2/{repo}/manifests/v1", manifest, {field: value})
    if answer.status == 201:
        answer = attacker.get(f"/v2/{repo}/manifests/v1")
        assert answer.status == 200
    assert answer.header("X-Injected") is None
    assert answer.status in (200, 400, 415)


@pytest.mark.parametrize(
    "field",
    [
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: gopher",
        "X-Forwarded-Host: evil.example",
        "Forwarded: for=127.0.0.1;host=evil.example",
        "X-Real-IP: 127.0.0.1",
        "X-Original-URL: /v2/_catalog",
        "X-Rewrite-URL: /v2/_catalog",
        "X-Request-Id: evil\tid",
    ],
)
def test_what_proxies_say_is_not_believed(attacker: Client, field: str) -> None:
    raw = exchange(attacker.address, _request(field, target="/v2/none/tags/list"))
    assert statuses(raw) == [404]
    for word in (b"evil", b"gopher", b"127.0.0.1"):
        assert word not in raw


def test_a_thousand_pipelined_requests_are_each_answered(
    fortress: RegistryServer, attacker: Client, unharmed: Unharmed
) -> None:
    request = b"GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n" * 999
    with unharmed():
        raw = exchange(attacker.address, request + _request())
        assert statuses(raw) == [200] * 1000
