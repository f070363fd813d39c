"""The body of an upload: metadata and bytes in one request, without a copy of the bytes.

The SDK joins everything it sends, on whatever thread sends it.  Buffers of that size, made and
freed by many threads, would cost a busy server hundreds of megabytes.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Sequence

import google_crc32c

from registry_storage.drivers.api import Buffer, KiB

STEP = 64 * KiB
"""The checksum is taken of bytes only: other buffers are copied, so much at a time."""
CONTENT_TYPE = "application/octet-stream"


class UploadBody:
    """Can be iterated again, and tells its length: what `requests` needs to send it as it is."""

    def __init__(self, name: str, data: Sequence[Buffer]) -> None:
        metadata = {"name": name, "contentType": CONTENT_TYPE, "crc32c": checksum(data)}
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/related; boundary={boundary}"
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            f"{json.dumps(metadata)}\r\n--{boundary}\r\nContent-Type: {CONTENT_TYPE}\r\n\r\n"
        )
        self._pieces = (head.encode(), *data, f"\r\n--{boundary}--".encode())

    def __iter__(self) -> Iterator[Buffer]:
        return iter(self._pieces)

    def __len__(self) -> int:
        return sum(map(len, self._pieces))


def checksum(data: Sequence[Buffer]) -> str:
    """The CRC32C of the bytes as the service writes it; it refuses an upload with another."""
    crc = 0
    for buffer in data:
        for start in range(0, len(buffer), STEP):
            crc = google_crc32c.extend(crc, bytes(buffer[start : start + STEP]))
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
