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


def answering(status: int, reason: str, body: bytes = b"") -> Failing:
    """Has the store answer so."""

    def request(_: HTTPConnection, method: str, url: str, **__: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.reason = status, reason
        answer.raw = _Body(body)
        answer.request = requests.Request(method, url).prepare()
        return answer

    return while_sending(request)


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
