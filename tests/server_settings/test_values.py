"""Durations, addresses and what they turn into."""

from __future__ import annotations

import pytest

from registry_server.settings.values import (
    Address,
    parse_address,
    parse_duration,
    parse_public_url,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("168h", 604800), ("1m30s", 90), ("250ms", 0.25), ("1.5h", 5400), ("60", 60), ("0", 0)],
)
def test_durations_are_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "-1s", "1d", "s", "1h 30m", "1e3", "inf", True])
def test_what_is_not_a_duration(text: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        (":5000", Address("", 5000), False),
        ("127.0.0.1:5000", Address("127.0.0.1", 5000), True),
        ("127.8.8.8:1", Address("127.8.8.8", 1), True),
        ("[::1]:5000", Address("::1", 5000), True),
        ("[0:0:0:0:0:0:0:1]:5000", Address("::1", 5000), True),
        ("[::]:5000", Address("::", 5000), False),
        ("0.0.0.0:0", Address("0.0.0.0", 0), False),
        ("localhost:5000", Address("localhost", 5000), True),
        ("localhost.example.org:1", Address("localhost.example.org", 1), False),
    ],
)
def test_addresses(text: str, address: Address, is_loopback: bool) -> None:
    assert parse_address(text) == address
    assert address.is_loopback is is_loopback


@pytest.mark.parametrize(
    "text", ["", "5000", "::1:5000", "a b:1", "[::1]", "host:", "h:-1", "h:1x"]
)
def test_what_is_not_an_address(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        parse_address(text)


@pytest.mark.parametrize("text", [":5000", "[::1]:5000", "localhost:1"])
def test_an_address_is_shown_as_it_is_written(text: str) -> None:
    assert str(parse_address(text)) == text


def test_a_public_url_loses_its_last_slash() -> None:
    assert parse_public_url("https://registry.example.org:8443/") == (
        "https://registry.example.org:8443"
    )


@pytest.mark.parametrize("text", ["registry", "ftp://a", "https://", "https://u:p@a"])
def test_what_is_not_a_public_url(text: str) -> None:
    with pytest.raises(ValueError, match="not a public URL"):
        parse_public_url(text)
