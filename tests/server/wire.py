"""HTTP by hand: bytes out, bytes in."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, address: Address) -> Wire:
        return cls(*await asyncio.open_connection(*address, limit=2**24))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def half_close(self) -> None:
        self.writer.write_eof()

    async def answer(self, *, head_only: bool = False) -> Answer:
        """The next answer, by its `Content-Length`."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (f.split(": ", 1) for f in fields)}
        length = 0 if head_only else int(headers.get("content-length", "0"))
        body = await asyncio.wait_for(self.reader.readexactly(length), 10)
        return Answer(int(line.split()[1]), headers, body)

    async def rest(self) -> bytes:
        """Everything until the server closes; raises `TimeoutError` where it does not."""
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        self.writer.close()


def request(method: str, target: str, *fields: str, body: bytes = b"") -> bytes:
    """The bytes of a request; a body goes with its length."""
    length = [f"Content-Length: {len(body)}"] if body or method in ("PUT", "POST", "PATCH") else []
    head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: registry", *length, *fields, "", ""])
    return head.encode() + body


async def push_blob(wire: Wire, repository: str, data: bytes, *fields: str) -> str:
    """Push in one request; the target at which the blob now lies."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    target = f"/v2/{repository}/blobs/uploads/?digest={digest}"
    wire.send(request("POST", target, *fields, body=data))
    answer = await wire.answer()
    assert answer.status == 201, answer
    return f"/v2/{repository}/blobs/{digest}"


async def begin_upload(wire: Wire, repository: str) -> str:
    wire.send(request("POST", f"/v2/{repository}/blobs/uploads/"))
    answer = await wire.answer()
    assert answer.status == 202, answer
    return answer.headers["location"]


def statuses(raw: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", raw)]
