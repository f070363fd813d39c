"""The HTTP server under the application: aiohttp's protocol, with the limits this project promises.

aiohttp gives parsing, pipelining, keep-alive and flow control.  What it leaves open is here:

- time limits for a head that does not end and for an answer that is not read;
- a client that shuts its sending half still gets its answers;
- connections beyond their number are told so, and end;
- a malformed request is one line of JSON for the client and none in the log;
- the values in force are checked at start, for aiohttp drops all of them when it knows one not.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp.http_parser
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD

from registry_server.api.errors import Problem, reply_to_problem
from registry_server.api.replies import head_bytes, request_id
from registry_server.crowd import Place

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader
    from aiohttp.web_protocol import _RequestFactory

    from registry_server.crowd import Crowd
    from registry_server.proxies import TrustedProxies
    from registry_server.settings.model import TimeoutSettings

SWEEP_SECONDS: Final = 1.0
_NO_LINGER: Final = struct.pack("ii", 1, 0)
LINGERING_SECONDS: Final = 5.0
CANCELLING_SECONDS: Final = 1.0
PARTING_SECONDS = 1.0
"""For how long a connection without a request is kept when the server ends: one may be on its way,
and a client that pushes would lose its place if it met a closed door."""
MAX_LINE: Final = 16 * 1024
MAX_FIELD: Final = 64 * 1024
"""podman sends a thousand ranges in one field of 20 KB."""
MAX_FIELDS: Final = 100


class Sent(web.StreamResponse):
    """What aiohttp's protocol gets back: everything is written; only keep-alive is left to tell."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keep_alive
        self._eof_sent = True


KEPT: Final = Sent(keep_alive=True)
CLOSED: Final = Sent(keep_alive=False)


class Connection(web.RequestHandler):
    """One client's connection."""

    __slots__ = (
        "_answers_no_more",
        "_body",
        "_is_malformed",
        "_is_over",
        "_progress",
        "_stalled_since",
        "_written",
        "head_began",
        "is_cut_off",
        "limits",
        "place",
        "proxies",
        "remote",
    )

    def __init__(self, manager: Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self.is_cut_off = False
        """The client sends nothing more; what it sent is still answered."""
        self.head_began: float | None = None
        """The loop's time at which a head began that is not complete."""
        self.limits = manager.limits
        self.place = Place.INSIDE
        self.proxies: TrustedProxies | None = None
        """Where a trusted proxy opened it: they tell whose the requests are."""
        self.remote = ""
        """The address of whoever opened it; empty for a Unix socket."""
        self._answers_no_more = False
        self._body: StreamReader = EMPTY_PAYLOAD
        self._is_malformed = False
        self._is_over = False
        self._written = 0
        self._progress = (0, 0)
        self._stalled_since = 0.0

    @property
    def _is_idle(self) -> bool:
        """Whether all that came has been answered."""
        return self._waiter is not None and not self._messages

    @property
    def counted_as(self) -> str:
        """The address of the client that the connection counts for; empty: for none."""
        return self.remote if self.proxies is None else ""

    @property
    def is_plain(self) -> bool:
        """Whether bytes go to the socket as they are, without TLS."""
        return self.ssl_context is None

    @property
    def is_ending(self) -> bool:
        """Whether the connection ends with the present answer."""
        return self._close or self._force_close or self._answers_no_more

    def end_after_answer(self) -> None:
        """Take at most one further request; what has begun goes on, the rest of its body included.

        aiohttp's `close` would drop that body.  An idle connection stays open until `end_if_idle`.
        """
        self._answers_no_more = True

    def end_if_idle(self) -> None:
        """Close, unless something is to be answered: then as soon as it is."""
        self._is_over = True
        if self._is_idle:
            self.force_close()

    def expect_no_more(self) -> None:
        """Close after this answer without waiting for a body that the client holds back."""
        self._lingering_time = 0.0

    def abort(self) -> None:
        """Close now; what is not sent is dropped."""
        if self.transport is not None:
            _reset(self.transport)
        self.force_close()

    # Beyond the number

    def turn_away(self) -> None:
        """Answer whatever is asked here with 503, if it is asked as soon as a head must come."""
        self._request_handler = self._refuse
        self.head_began = self._loop.time()
        if self.place is Place.NOWHERE:
            self._loop.call_soon(self.abort)  # aiohttp has not finished making it

    def stand_for_many(self, proxies: TrustedProxies, crowd: Crowd) -> None:
        """A trusted proxy opened this: it is not the connection that counts for a client."""
        serve = self._request_handler
        assert serve is not None

        async def answer(request: Any) -> web.StreamResponse:
            with crowd.request_of(request.remote) as has_room:
                return await (serve if has_room else self._refuse)(request)

        self._request_handler = answer
        self.proxies = proxies

    async def _refuse(self, request: Any) -> web.StreamResponse:
        message = "too many connections; use fewer at a time, or come back later"
        return self._answer(Problem(503, "UNAVAILABLE", message, close=True))

    # Reading

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages:
            self.head_began = None
            if not isinstance(self._messages[-1][0], RawRequestMessage):
                self._is_malformed = True
                self._settle()
        elif self._current_request is not None:
            self.head_began = None
        elif self.head_began is None:
            self.head_began = self._loop.time()

    def eof_received(self) -> bool:  # type: ignore[override]  # None would close at once
        """Keep the connection until what came has been answered (TLS cannot be half closed)."""
        self.is_cut_off = True
        if self._is_idle:
            self.force_close()
        self._settle()
        return self.is_plain

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.is_cut_off = True
        self._settle()

    def begin(self, payload: StreamReader) -> None:
        """The turn of a request with this body has come."""
        self.head_began = None
        self._body = payload
        if self.is_cut_off or self._is_malformed:
            self._settle()

    def _settle(self) -> None:
        """Nothing more will come of the present body, so nobody shall wait for it."""
        payload = self._body
        if payload.is_eof() or payload.exception() is not None:
            return
        if self._is_malformed:
            payload.set_exception(web.RequestPayloadError("the body is malformed"))
        else:
            payload.feed_eof()

    # Writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand bytes to the transport.  Raises `ConnectionResetError` where the client left."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client left")
        self._written += len(data)
        transport.write(data)

    async def drain(self) -> None:
        """Wait until the transport takes more.  Raises `ConnectionError` where the client left."""
        if self._paused:
            await self._drain_helper()

    async def flush(self) -> None:
        """Wait until the transport holds no bytes back, so that others may write to its socket."""
        transport = self.transport
        if transport is None or transport.get_write_buffer_size() == 0:
            return
        transport.set_write_buffer_limits(0)
        try:
            await self.drain()
        finally:
            transport.set_write_buffer_limits()

    def count_sent(self, size: int) -> None:
        """Tell of bytes that went to the socket past the transport."""
        self._written += size

    async def finish_response(
        self, request: Any, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        result = await super().finish_response(request, resp, start_time)
        if self._answers_no_more or (self.is_cut_off and not self._messages):
            self.close()
        return result

    def handle_error(
        self,
        request: Any,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or a page that failed."""
        if status == HTTPStatus.BAD_REQUEST:
            problem = Problem(400, "UNSUPPORTED", "this is not a request of HTTP/1.1", close=True)
        else:
            self.log_exception("failed at a page", exc_info=exc)
            problem = Problem(500, "UNKNOWN", "the registry failed at this", close=True)
        return self._answer(problem)

    def _answer(self, problem: Problem) -> web.StreamResponse:
        reply = reply_to_problem(problem)
        assert isinstance(reply.body, bytes)
        self.write(head_bytes(reply, request_id(None), "close") + reply.body)
        return CLOSED

    # Time limits

    def has_waited_too_long(self, transport: asyncio.Transport, limits: TimeoutSettings) -> bool:
        """Whether the client has kept this connection waiting, for a head or for room to write."""
        now = self._loop.time()
        progress = (self._written, transport.get_write_buffer_size())
        if progress != self._progress or progress[1] == 0:
            self._progress = progress
            self._stalled_since = now
        if now - self._stalled_since > limits.write:
            return True
        if not self._is_idle:
            return False
        if self.is_cut_off or self._is_over:
            return True  # told so just before it began to wait
        return self.head_began is not None and now - self.head_began > limits.head


def _reset(transport: asyncio.Transport) -> None:
    """Close so that the kernel, too, drops what the client has not taken."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


class Server(web.Server):
    """Makes connections, and ends those whose client keeps them waiting."""

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[web.StreamResponse]],
        request_factory: _RequestFactory,
        limits: TimeoutSettings,
        crowd: Crowd,
        proxies: TrustedProxies,
    ) -> None:
        super().__init__(handler, request_factory=request_factory, **_options(limits))
        self.limits = limits
        self._crowd = crowd
        self._proxies = proxies
        self._sweeper = self._loop.create_task(self._sweep())
        self._someone_left = asyncio.Event()

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for connection, transport in list(self._connections.items()):
                if connection.has_waited_too_long(transport, self.limits):  # type: ignore[attr-defined]
                    _reset(transport)

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        peer = transport.get_extra_info("peername")
        handler.remote = str(peer[0]) if isinstance(peer, tuple) else ""
        if self._proxies.include(handler.remote):
            handler.stand_for_many(self._proxies, self._crowd)
        handler.place = self._crowd.enter(handler.counted_as)
        if handler.place is not Place.INSIDE:
            handler.turn_away()

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        self._crowd.leave(handler.counted_as, handler.place)
        task = handler._task_handler
        super().connection_lost(handler, exc)
        if task is None:
            self._someone_left.set()
        else:  # it counts as a connection until its task has ended
            task.add_done_callback(lambda _: self._someone_left.set())

    async def end(self, timeout: float) -> None:
        """Let each connection answer what it has begun, for at most `timeout` seconds."""
        for connection in list(self._connections):
            connection.end_after_answer()  # type: ignore[attr-defined]
        await self._wait_for_the_last(min(PARTING_SECONDS, timeout))
        for connection in list(self._connections):
            connection.end_if_idle()  # type: ignore[attr-defined]
        await self._wait_for_the_last(timeout)
        await self.shutdown(CANCELLING_SECONDS)
        self._sweeper.cancel()

    async def _wait_for_the_last(self, timeout: float) -> None:
        """Until no connection is left, for at most `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._connections:
                    self._someone_left.clear()
                    await self._someone_left.wait()


def _options(limits: TimeoutSettings) -> Mapping[str, Any]:
    return {
        "auto_decompress": False,
        "keepalive_timeout": limits.keepalive,
        "lingering_time": LINGERING_SECONDS,
        "max_line_size": MAX_LINE,
        "max_field_size": MAX_FIELD,
        "max_headers": MAX_FIELDS,
        "access_log": None,
    }


def check_values_in_force(server: Server) -> None:
    """Build one connection and look: what aiohttp does not know, it may ignore.

    Raises `RuntimeError` where a limit is not in force, or the parser is not the one in C, which
    refuses more malformed requests than the one in Python.
    """
    parsers = aiohttp.http_parser
    if parsers.HttpRequestParser is parsers.HttpRequestParserPy:
        raise RuntimeError("aiohttp runs without its C extension; reinstall it from a wheel")
    connection = server()
    for name, expected in {
        "_keepalive_timeout": server.limits.keepalive,
        "_lingering_time": LINGERING_SECONDS,
        "max_line_size": MAX_LINE,
        "max_field_size": MAX_FIELD,
        "max_headers": MAX_FIELDS,
    }.items():
        found = getattr(connection, name)
        if found != expected:
            raise RuntimeError(f"aiohttp uses {name.strip('_')} {found} where {expected} was given")
