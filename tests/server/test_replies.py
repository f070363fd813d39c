"""The bytes of an answer, and what cannot get into them."""

from __future__ import annotations

import pytest

from registry_server.api.replies import Reply, head_bytes, request_id


def test_an_answer_on_the_wire() -> None:
    head = head_bytes(Reply(201, (("Location", "/v2/a"),), b"abc"), "id-1", "close").decode()
    line, *fields = head.split("\r\n")
    assert line == "HTTP/1.1 201 Created"
    assert fields[-2:] == ["", ""]
    assert {
        "Docker-Distribution-API-Version: registry/2.0",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: sandbox; default-src 'none'",
        "X-Request-Id: id-1",
        "Location: /v2/a",
        "Content-Length: 3",
        "Connection: close",
    } < set(fields)


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_have_no_body_have_no_length(status: int) -> None:
    assert b"Content-Length" not in head_bytes(Reply(status), "id")


@pytest.mark.parametrize("value", ["a\r\nX-Injected: yes", "a\nb", "a\rb", "a\0b"])
def test_no_value_begins_a_line_of_its_own(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        head_bytes(Reply(200, (("Location", value),)), "id")


def test_a_short_plain_id_of_the_client_is_kept() -> None:
    assert request_id("trace-1/a") == "trace-1/a"
    for refused in (None, "", "a b", "é", "x" * 129, "a\r\nb"):
        assert request_id(refused) != refused


def test_ids_are_given_out_once() -> None:
    ids = [request_id(None) for _ in range(1000)]
    assert len(set(ids)) == 1000
