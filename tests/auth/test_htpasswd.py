"""The htpasswd file and the `Authorization` header."""

from __future__ import annotations

import statistics
import time
from base64 import b64encode

import pytest

from registry_server.auth import CredentialsRefused
from registry_server.auth.basic import MAX_HEADER_LENGTH, parse_basic
from registry_server.auth.htpasswd import parse_passwords

from .conftest import basic, entry


def test_the_right_password_and_no_other() -> None:
    passwords = parse_passwords(entry("ann", "secret"))
    assert passwords.verify("ann", "secret")
    assert not passwords.verify("ann", "Secret")
    assert not passwords.verify("ann", "")
    assert not passwords.verify("bob", "secret")


def test_comments_blank_lines_and_windows_line_ends() -> None:
    passwords = parse_passwords(f"# users\r\n\r\n  \n{entry('ann', 'a').strip()}\r\n")
    assert passwords.verify("ann", "a")


def test_every_variant_of_bcrypt() -> None:
    line = entry("ann", "a")
    for variant in ("$2y$", "$2a$"):
        assert parse_passwords(line.replace("$2b$", variant)).verify("ann", "a")


def test_a_long_password_is_cut_where_htpasswd_cuts_it() -> None:
    passwords = parse_passwords(entry("ann", "x" * 100))
    assert passwords.verify("ann", "x" * 100)
    assert passwords.verify("ann", "x" * 72)
    assert not passwords.verify("ann", "x" * 71)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ann:$apr1$aaaaaaaa$bbbbbbbbbbbbbbbbbbbbbb", "line 1: the hash of 'ann' is not bcrypt"),
        ("# x\nann:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "line 2: the hash of 'ann' is not bcrypt"),
        ("ann:secret", "set it again with: htpasswd -B"),
        ("ann", "line 1: not of the form name:hash"),
        (":$2b$04$aaa", "line 1: not of the form name:hash"),
        (entry("ann", "a") + entry("ann", "b"), "line 2: 'ann' is there twice"),
    ],
)
def test_other_formats_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="line") as caught:
        parse_passwords(text)
    assert message in str(caught.value)


def test_an_unknown_name_takes_as_long_as_a_wrong_password() -> None:
    passwords = parse_passwords(entry("ann", "secret", cost=6) + entry("bob", "secret", cost=5))
    times: dict[str, list[float]] = {"ann": [], "nobody": []}
    for _ in range(40):
        for name, taken in times.items():
            began = time.thread_time()
            passwords.verify(name, "wrong")
            taken.append(time.thread_time() - began)
    known, unknown = (statistics.median(taken) for taken in times.values())
    assert unknown == pytest.approx(known, rel=0.1)


def test_an_empty_file_lets_nobody_in() -> None:
    assert not parse_passwords("").verify("ann", "")


def test_basic_credentials() -> None:
    credentials = parse_basic(basic("ann", "pass:wörd"))
    assert (credentials.name, credentials.password) == ("ann", "pass:wörd")
    assert parse_basic(basic("ann", "").replace("Basic", "bAsIc")).name == "ann"
    assert "pass" not in repr(credentials)


def _encoded(raw: bytes) -> str:
    return "Basic " + b64encode(raw).decode()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Bearer abc",
        "Basic  YTpi",
        "Basic YTpi ",
        "Basic YT*pi",
        "Basic \xff",
        "Basic \udcff",
        _encoded(b"ann"),
        _encoded(b"\xff:a"),
        _encoded(b"ann:a\0"),
        _encoded(b"ann\n:a"),
        _encoded(b"a" * MAX_HEADER_LENGTH + b":b"),
    ],
)
def test_a_malformed_header_is_refused(header: str) -> None:
    with pytest.raises(CredentialsRefused):
        parse_basic(header)
