"""An HTTP client that hides nothing: no redirects, no retries, no decoding, paths sent as given.

Every answer must keep the promises that its client was given (see `promises`), so that each test
also checks what holds for all answers.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .content import DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST, OCTETS, digest_of

Body = bytes | Iterable[bytes] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said to one request, headers as they came."""

    method: str
    target: str
    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of the only header field of that name; None where there is none."""
        values = self.headers(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def headers(self, name: str) -> list[str]:
        """The values of all header fields of that name, in their order."""
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The error codes that the body names."""
        return [error["code"] for error in self.json()["errors"]]

    @property
    def messages(self) -> str:
        return "\n".join(error["message"] for error in self.json()["errors"])

    @property
    def location(self) -> str:
        """Path and query of `Location`, whether that is relative or absolute."""
        value = self.header("Location")
        assert value, f"no Location in {self}"
        parts = urlsplit(value)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def __str__(self) -> str:
        return (
            f"{self.method} {self.target} -> {self.status} {dict(self.fields)} {self.body[:500]!r}"
        )


def with_query(target: str, **parameters: str) -> str:
    """`target` with parameters added behind those that it has."""
    return f"{target}{'&' if '?' in target else '?'}{urlencode(parameters, safe=':/')}"


class Client:
    """One user's view of one registry, over one kept connection."""

    def __init__(
        self,
        url: str,
        *,
        login: tuple[str, str] | None = None,
        promises: Iterable[Callable[[Answer], None]] = (),
        timeout: float = 30,
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self.url = url
        self.address = (parts.hostname, parts.port or 80)
        self._promises = tuple(promises)
        self._login = login
        self._connection = http.client.HTTPConnection(*self.address, timeout=timeout)

    def close(self) -> None:
        self._connection.close()

    def another(self, login: tuple[str, str] | None = None) -> Client:
        """A client of the same registry with a connection, and perhaps a login, of its own."""
        return Client(self.url, login=login or self._login, promises=self._promises)

    def request(
        self,
        method: str,
        target: str,
        body: Body = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """Send one request; bytes go with their length, an iterable of bytes in HTTP chunks."""
        fields = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        with suppress(BrokenPipeError, ConnectionResetError):
            # A server may answer and close before it has read everything: the answer is there.
            self._send(method, target, body, fields)
        answer = self._receive(method, target)
        for promise in self._promises:
            promise(answer)
        return answer

    def _send(self, method: str, target: str, body: Body, fields: list[tuple[str, str]]) -> None:
        connection = self._connection
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in [*self._authorization(), *_acceptance(fields), *fields]:
            connection.putheader(name, value)
        if isinstance(body, bytes):
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
        elif body is None:
            if method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", "0")
            connection.endheaders()
        else:
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(body, encode_chunked=True)

    def _authorization(self) -> list[tuple[str, str]]:
        if self._login is None:
            return []
        token = base64.b64encode(":".join(self._login).encode()).decode()
        return [("Authorization", f"Basic {token}")]

    def _receive(self, method: str, target: str) -> Answer:
        try:
            response = self._connection.getresponse()
            body = response.read()
        except BaseException:
            self._connection.close()
            raise
        return Answer(method, target, response.status, tuple(response.getheaders()), body)

    def begin(self, method: str, target: str, sent: bytes, announced: int) -> None:
        """Send a request whose body ends early, and leave the connection open."""
        connection = self._connection
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in [*self._authorization(), ("Content-Length", str(announced))]:
            connection.putheader(name, value)
        connection.endheaders(sent)

    def get(self, target: str, **headers: str) -> Answer:
        """GET; keyword arguments are header fields, with `_` for `-`."""
        return self.request("GET", target, headers=_fields(headers))

    def head(self, target: str, **headers: str) -> Answer:
        return self.request("HEAD", target, headers=_fields(headers))

    def post(self, target: str, body: Body = None, **headers: str) -> Answer:
        return self.request("POST", target, body, _fields(headers))

    def put(self, target: str, body: Body = None, **headers: str) -> Answer:
        return self.request("PUT", target, body, _fields(headers))

    def patch(self, target: str, body: Body = None, **headers: str) -> Answer:
        return self.request("PATCH", target, body, {"Content-Type": OCTETS} | _fields(headers))

    def delete(self, target: str) -> Answer:
        return self.request("DELETE", target)

    # What nearly every test needs before it can ask its question.

    def start_upload(self, repository: str, **parameters: str) -> str:
        """Open an upload and return where its bytes go."""
        target = f"/v2/{repository}/blobs/uploads/"
        answer = self.post(with_query(target, **parameters) if parameters else target)
        assert answer.status == 202, answer
        return answer.location

    def push_blob(self, repository: str, data: bytes, algorithm: str = "sha256") -> str:
        """Push a blob by POST and PUT; return its digest."""
        digest = digest_of(data, algorithm)
        location = self.start_upload(repository)
        answer = self.put(with_query(location, digest=digest), data, Content_Type=OCTETS)
        assert answer.status == 201, answer
        return digest

    def put_manifest(
        self, repository: str, reference: str, manifest: bytes, media_type: str | None = None
    ) -> Answer:
        """PUT a manifest under its own media type unless another is given."""
        media_type = media_type or json.loads(manifest)["mediaType"]
        target = f"/v2/{repository}/manifests/{quote(reference, safe=':?=&')}"
        return self.put(target, manifest, Content_Type=media_type)

    def push_manifest(self, repository: str, manifest: bytes, reference: str | None = None) -> str:
        """Push a manifest, by its digest unless a tag is given; return its digest."""
        digest = digest_of(manifest)
        answer = self.put_manifest(repository, reference or digest, manifest)
        assert answer.status == 201, answer
        return digest


def _acceptance(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What clients say they take, unless the test says something: some registries insist on it."""
    if any(name.lower() == "accept" for name, _ in fields):
        return []
    return [("Accept", ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST, "*/*")))]


def _fields(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def exchange(
    address: tuple[str, int], request: bytes, *, half_close: bool = False, timeout: float = 15
) -> bytes:
    """Send bytes as they are; return everything the server sends until it closes.

    With `half_close` the sending half is shut once the bytes are out: a client that went away.
    Raises `TimeoutError` where the server does not close.
    """
    with socket.create_connection(address, timeout=timeout) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
        if half_close:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Everything that comes until the other side closes or resets."""
    received = bytearray()
    while True:
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            return bytes(received)
        if not data:
            return bytes(received)
        received += data


def statuses(raw: bytes) -> list[int]:
    """The status codes of the answers in what came over one connection, bodies jumped over."""
    found = []
    rest = raw
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        found.append(int(line.split()[1]))
        rest = rest[_content_length(fields) :]
    return found


def _content_length(fields: list[bytes]) -> int:
    for field in fields:
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
