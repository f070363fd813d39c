"""A registry client on one keep-alive connection, cheap enough to leave the machine to the server.

http.client would cost more for a request than a fast server does.  Every answer that is not the one
expected raises `UnexpectedAnswer`: a benchmark of errors is worthless.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

from bench.content import MANIFEST_TYPE, Blob, Image, digest_of

_TIMEOUT = 120.0
_RECEIVE = 256 * 1024


class UnexpectedAnswer(Exception):
    """The server did not do what the benchmark measures."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection to 127.0.0.1:`port`; `authorization` goes with every request."""

    def __init__(self, port: int, authorization: str | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        credentials = f"Authorization: {authorization}\r\n" if authorization else ""
        self._common = f"Host: 127.0.0.1:{port}\r\n{credentials}"
        self._received = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    @property
    def local_port(self) -> int:
        """Our end's port."""
        port: int = self._socket.getsockname()[1]
        return port

    def request(
        self,
        method: str,
        path: str,
        *,
        expect: int,
        body: bytes | Iterable[bytes] = b"",
        size: int | None = None,
        media_type: str = "application/octet-stream",
        accept: str = "*/*",
    ) -> Answer:
        """Send one request and read its answer.

        An iterable `body` needs its `size`.  Raises `UnexpectedAnswer` for another status.
        """
        length = len(body) if isinstance(body, bytes) else size
        head = (
            f"{method} {path} HTTP/1.1\r\n{self._common}"
            f"Accept: {accept}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
        ).encode()
        if isinstance(body, bytes):
            self._socket.sendall(head + body)
        else:
            self._socket.sendall(head)
            for piece in body:
                self._socket.sendall(piece)
        answer = self._read_answer(bodyless=method == "HEAD")
        if answer.status != expect:
            raise UnexpectedAnswer(
                f"{method} {path}: {answer.status} instead of {expect}: {answer.body[:500]!r}"
            )
        return answer

    def _read_answer(self, *, bodyless: bool) -> Answer:
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = 0 if bodyless else int(headers.get("content-length", 0))
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return Answer(int(first.split()[1]), headers, body)

    def _receive(self) -> None:
        data = self._socket.recv(_RECEIVE)
        if not data:
            raise UnexpectedAnswer(f"the server hung up after {self._received[:200]!r}")
        self._received += data


def begin_upload(connection: Connection, repository: str) -> str:
    """Open an upload; its path, query included."""
    return _location(connection.request("POST", f"/v2/{repository}/blobs/uploads/", expect=202))


def with_digest(location: str, digest: str) -> str:
    """The path that finishes an upload."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def push_blob(connection: Connection, repository: str, data: bytes) -> None:
    """POST, then all of it in the PUT."""
    location = begin_upload(connection, repository)
    connection.request("PUT", with_digest(location, digest_of(data)), expect=201, body=data)


def push_blob_as_docker(connection: Connection, repository: str, data: bytes) -> None:
    """POST, all of it in one PATCH, and an empty PUT: what the docker daemon does."""
    location = begin_upload(connection, repository)
    location = _location(connection.request("PATCH", location, expect=202, body=data))
    connection.request("PUT", with_digest(location, digest_of(data)), expect=201)


def push_large_blob(connection: Connection, repository: str, blob: Blob) -> str:
    """POST, then all of it in the PUT, made while it is sent; its digest."""
    digest = blob.digest()
    location = with_digest(begin_upload(connection, repository), digest)
    connection.request("PUT", location, expect=201, body=blob.pieces(), size=blob.size)
    return digest


def push_image(
    connection: Connection, repository: str, tag: str, image: Image, *, as_docker: bool = False
) -> int:
    """Push the layers and the config, each after a HEAD that finds nothing, then the manifest.

    Answers how many requests that took.
    """
    push = push_blob_as_docker if as_docker else push_blob
    blobs = [*image.layers, image.config]
    for data in blobs:
        path = f"/v2/{repository}/blobs/{digest_of(data)}"
        connection.request("HEAD", path, expect=404)
        push(connection, repository, data)
    put_manifest(connection, repository, tag, image.manifest)
    return len(blobs) * (4 if as_docker else 3) + 1


def pull_image(connection: Connection, repository: str, tag: str, image: Image) -> int:
    """Get the manifest, the config and the layers; answers how many requests that took."""
    path = f"/v2/{repository}"
    connection.request("GET", f"{path}/manifests/{tag}", expect=200, accept=MANIFEST_TYPE)
    blobs = [image.config, *image.layers]
    for data in blobs:
        answer = connection.request("GET", f"{path}/blobs/{digest_of(data)}", expect=200)
        if answer.body != data:
            raise UnexpectedAnswer(f"{path}: other bytes came back than were pushed")
    return len(blobs) + 1


def put_manifest(connection: Connection, repository: str, tag: str, manifest: bytes) -> None:
    """Push a manifest under a tag."""
    path = f"/v2/{repository}/manifests/{tag}"
    connection.request("PUT", path, expect=201, body=manifest, media_type=MANIFEST_TYPE)


def _location(answer: Answer) -> str:
    """Path and query of the `Location`, whether it came as a URL or relative."""
    parts = urlsplit(answer.headers["location"])
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
