"""The body of a request, as it arrives: counted, never decoded, and never waited for in vain.

A body that breaks off raises `BodyInterrupted`: an upload keeps what came, and the client goes on
from there.  A body that is malformed raises `Problem`, and nothing is kept.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web import RequestPayloadError

from registry_server.api.errors import Problem
from registry_server.api.requests import Request, is_odd
from registry_storage.errors import BodyInterrupted

SLOWEST: Final = 1024
"""Bytes a second: a body that is slower for the whole of the time limit has stalled."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyStalled(BodyInterrupted):
    """The client stopped sending, or sends too slowly to be waited for."""


def has_body(request: Request) -> bool:
    """Whether the head announces a body that is not empty."""
    return request.content is not EMPTY_PAYLOAD


def check_framing(request: Request) -> None:
    """Refuse a body whose length or coding this server would have to guess.

    Raises `Problem`: for a tunnel and for HTTP/0.9, for a transfer coding other than `chunked` (and
    for any on HTTP/1.0), for a content coding (a digest is of the bytes as sent), for an
    expectation other than `100-continue`.
    """
    if is_odd(request.message):
        request.connection.expect_no_more()
        raise Problem(400, "UNSUPPORTED", "this is not a request of HTTP/1.1", close=True)
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None and (
        coding.lower() != "chunked" or request.message.version < HttpVersion11
    ):
        raise Problem(400, "UNSUPPORTED", "unsupported Transfer-Encoding", close=True)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        message = "send the bytes as they are, without Content-Encoding"
        raise Problem(415, "UNSUPPORTED", message, close=True)
    if request.headers.get("Expect", "100-continue").lower() != "100-continue":
        raise Problem(417, "UNSUPPORTED", "the only expectation met is 100-continue", close=True)


class Body:
    """The pieces of a body, to be read once; the first read answers `Expect: 100-continue`."""

    def __init__(self, request: Request, patience: float) -> None:
        """`patience` is how long to wait for bytes, in seconds."""
        self.received = 0
        """Bytes so far."""
        self.interruption: BodyInterrupted | None = None
        """Why the body broke off, where it did."""
        self._request = request
        self._payload = request.content
        self._patience = patience
        self._waiting_left = patience
        self._received_before = 0
        length = request.headers.get("Content-Length")
        self.announced: int | None = int(length) if length is not None else None
        """Bytes, where the head says so: `Content-Length`, or 0 without any body."""
        if not has_body(request):
            self.announced = 0
        self._chunked = self.announced is None

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        self._invite()
        try:
            data = await self._next()
        except BodyInterrupted as interruption:
            self.interruption = interruption
            raise
        if not data:
            raise StopAsyncIteration
        self.received += len(data)
        return data

    async def read(self, limit: int) -> bytes:
        """All of it.  Raises `Problem` (413) as soon as there are more than `limit` bytes."""
        if self.announced is not None and self.announced > limit:
            raise self._too_large(limit)
        pieces = []
        async for piece in self:
            if self.received > limit:
                raise self._too_large(limit)
            pieces.append(piece)
        return b"".join(pieces)

    def raise_interruption(self) -> None:
        """Raise again what broke the body off, where somebody has caught it."""
        if self.interruption is not None:
            raise self.interruption

    def _invite(self) -> None:
        request = self._request
        if request.awaits_invitation:
            request.awaits_invitation = False
            request.connection.write(_CONTINUE)

    async def _next(self) -> bytes:
        try:
            data = await self._read_in_time()
        except ConnectionError as error:
            raise self._broken_off() from error
        except (HttpProcessingError, RequestPayloadError) as error:
            raise Problem(400, "SIZE_INVALID", "the body is malformed", close=True) from error
        if not data and self._is_incomplete():
            raise self._broken_off()
        return data

    async def _read_in_time(self) -> bytes:
        if self._payload.total_bytes > self.received or self._payload.is_eof():
            return await self._read()
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(self._waiting_left):
                    data = await self._read()
            except TimeoutError:
                self._begin_next_period()
            else:
                self._waiting_left -= loop.time() - began
                return data

    async def _read(self) -> bytes:
        if self._chunked:
            return await self._payload.readany()
        # One piece as it came from the socket, where `readany` would join what has gathered.
        data, _ = await self._payload.readchunk()
        return data

    def _begin_next_period(self) -> None:
        if self.received - self._received_before < SLOWEST * self._patience:
            raise BodyStalled(
                f"fewer than {SLOWEST} bytes a second arrived for {self._patience:g} s"
            )
        self._received_before = self.received
        self._waiting_left = self._patience

    def _is_incomplete(self) -> bool:
        if self.announced is not None:
            return self.received < self.announced
        return self._request.connection.is_cut_off

    def _broken_off(self) -> BodyInterrupted:
        announced = "" if self.announced is None else f" of {self.announced}"
        return BodyInterrupted(f"the body ended after {self.received}{announced} bytes")

    def _too_large(self, limit: int) -> Problem:
        return Problem(413, "SIZE_INVALID", f"at most {limit} bytes are accepted here", close=True)
