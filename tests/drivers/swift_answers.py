"""Answers in the place of a Swift's, for tests of what the driver makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import requests
from swiftclient.client import HTTPConnection  # type: ignore[import-untyped]

Request = Callable[..., requests.Response]
Failing = Callable[[], AbstractContextManager[None]]


def while_sending(request: Request) -> Failing:
    """Has `request` answer in the place of the network; the log-in goes on as it was."""

    @contextmanager
    def failing() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(HTTPConnection, "_request", request)
            yield

    return failing


def answer(method: str, url: str, status: int, reason: str, body: bytes = b"") -> requests.Response:
    """One to that request."""
    made = requests.Response()
    made.status_code, made.reason = status, reason
    made.raw = _Body(body)
    made.request = requests.Request(method, url).prepare()
    return made


def answering(status: int, reason: str) -> Failing:
    """Has the store answer so."""
    return while_sending(lambda _, method, url, **__: answer(method, url, status, reason))


def raising(error: Exception) -> Failing:
    """Has the network fail so."""

    def request(*_: object, **__: object) -> requests.Response:
        raise error

    return while_sending(request)


class _Body:
    """The little that the SDK asks of one."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def read(self, *_: object, **__: object) -> bytes:
        data, self._left = self._left, b""
        return data

    def close(self) -> None:
        """Nothing is held."""

    release_conn = close
