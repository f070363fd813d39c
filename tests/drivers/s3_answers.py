"""Answers put between the s3 driver and its store, where the SDK sends requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session

Send = Callable[[URLLib3Session, Any], AWSResponse]

really_sent: Send = URLLib3Session.send


@contextmanager
def sending(send: Send) -> Iterator[None]:
    """Has `send` take every request of the SDK."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(URLLib3Session, "send", send)
        yield


def answer(
    request: Any, status: int, code: str, headers: Mapping[str, str] | None = None
) -> AWSResponse:
    """An error as a store answers it."""
    body = f"<Error><Code>{code}</Code><Message>as asked</Message></Error>".encode()

    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield body

    return AWSResponse(request.url, status, headers or {}, Raw())


def answering(
    status: int, code: str, headers: Mapping[str, str] | None = None
) -> AbstractContextManager[None]:
    """Has the store answer everything with this error."""
    return sending(lambda _, request: answer(request, status, code, headers))


def failing(error: Exception) -> AbstractContextManager[None]:
    """Has every request end so."""

    def send(_: URLLib3Session, request: Any) -> AWSResponse:
        raise error

    return sending(send)


def timeout(url: str = "http://s3.test") -> ReadTimeoutError:
    """The store is silent."""
    return ReadTimeoutError(endpoint_url=url, error="60 s")
