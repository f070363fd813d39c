"""What holds for every answer of the registry, whatever was asked: the client checks it on each."""

from __future__ import annotations

import re

from .client import Answer

_CODE = re.compile(r"[A-Z]+(_[A-Z]+)*")


def no_server_error(answer: Answer) -> None:
    """Nothing a client sends is answered with a 5xx."""
    assert answer.status < 500, answer


def identified(answer: Answer) -> None:
    """Each answer names its request, and is never to be guessed at by a browser."""
    assert answer.header("X-Request-Id"), answer
    if answer.target.startswith("/v2"):
        assert answer.header("Docker-Distribution-API-Version") == "registry/2.0", answer
        assert answer.header("X-Content-Type-Options") == "nosniff", answer
        assert "sandbox" in (answer.header("Content-Security-Policy") or ""), answer


def errors_explained(answer: Answer) -> None:
    """Errors have the body of the spec, section "Error Codes"; for HEAD there is none."""
    if answer.status < 400 or not answer.target.startswith("/v2"):
        return
    if answer.method == "HEAD":
        assert answer.body == b"", answer
        return
    assert answer.header("Content-Type") == "application/json", answer
    errors = answer.json()["errors"]
    assert errors, answer
    for error in errors:
        assert _CODE.fullmatch(error["code"]), answer
        assert error["message"], answer


def never_encoded(answer: Answer) -> None:
    """Digests are of identity bytes, so none is ever encoded; and nothing sets a cookie."""
    assert answer.header("Content-Encoding") is None, answer
    assert answer.header("Set-Cookie") is None, answer


OURS = (no_server_error, identified, errors_explained, never_encoded)
ANY_REGISTRY = (no_server_error,)
