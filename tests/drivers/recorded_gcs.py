"""Answers of Google Cloud Storage, as recorded, for what an emulator does not show."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the service."""

    status: int
    body: bytes
    claimed_length: int | None = None
    """What `Content-Length` says where the answer is cut off."""

    def response(self, request: requests.PreparedRequest) -> requests.Response:
        """The answer as `requests` has it."""
        response = requests.Response()
        response.status_code = self.status
        response.headers["Content-Length"] = str(self.claimed_length or len(self.body))
        response.headers["Content-Type"] = "application/json; charset=UTF-8"
        response.raw = io.BytesIO(self.body)
        response.request = request
        response.url = str(request.url)
        return response


def refusal(status: int, reason: str, message: str) -> Answer:
    """An error as the JSON API words it."""
    details = [{"message": message, "domain": "global", "reason": reason}]
    error = {"code": status, "message": message, "errors": details}
    return Answer(status, json.dumps({"error": error}).encode())


def resource(name: str, size: int, generation: int = 1732500000000001) -> Answer:
    """An object's metadata."""
    shown = {
        "kind": "storage#object",
        "name": name,
        "size": str(size),
        "generation": str(generation),
        "timeCreated": "2026-11-25T01:02:03.456Z",
    }
    return Answer(200, json.dumps(shown).encode())


FORBIDDEN = refusal(
    403,
    "forbidden",
    "registry@registry.iam.gserviceaccount.com does not have storage.objects.create access to the "
    "Google Cloud Storage object. Permission 'storage.objects.create' denied on resource (or it "
    "may not exist).",
)
UNAUTHORIZED = refusal(401, "authError", "Invalid Credentials")
NO_BUCKET = refusal(404, "notFound", "The specified bucket does not exist.")
NO_OBJECT = refusal(404, "notFound", "No such object: bucket/blobs/0")
CONDITION_NOT_MET = refusal(
    412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."
)
RATE_LIMIT = refusal(
    429,
    "rateLimitExceeded",
    "The object bucket/key exceeded the rate limit for object mutation operations (create, "
    "update, and delete). Please reduce your request rate.",
)
RATE_LIMIT_AS_403 = refusal(403, "rateLimitExceeded", "Rate Limit Exceeded")
BACKEND_ERROR = refusal(503, "backendError", "Backend Error")
GATEWAY_TIMEOUT = refusal(504, "backendError", "Gateway Timeout")
INSUFFICIENT_STORAGE = Answer(507, b"Insufficient Storage")
SKEWED_CLOCK = Answer(
    400,
    b'{"error": "invalid_grant", "error_description": "Invalid JWT: Token must be a short-lived '
    b"token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT "
    b'claim."}',
)
UNKNOWN_KEY = Answer(400, b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}')

Step = Answer | Exception


@contextmanager
def answering(*script: Step) -> Iterator[list[requests.PreparedRequest]]:
    """Every request gets the next step of the script, and the last one again and again.

    Gives the requests that were made.
    """
    made: list[requests.PreparedRequest] = []

    def send(_: HTTPAdapter, request: requests.PreparedRequest, **__: Any) -> requests.Response:
        step = script[min(len(made), len(script) - 1)]
        made.append(request)
        if isinstance(step, Exception):
            raise step
        return step.response(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", send)
        yield made


def failing(step: Step) -> Callable[[], Any]:
    """A context within which every request ends so."""
    return lambda: answering(step)
