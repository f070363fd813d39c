"""Byte ranges (RFC 9110, section 14): what a client asks for, and how several are answered.

Clients of zstd:chunked and eStargz layers ask for a thousand ranges in one request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAX_RANGES: Final = 2048
"""Asked for more, the whole is sent."""
MAX_GAP: Final = 64 * 1024
"""Bytes between two ranges that a store sends sooner than it answers one request more."""

_SPEC = re.compile(r"[ \t]*(?:([0-9]{1,40})-([0-9]{0,40})|-([0-9]{1,40}))[ \t]*")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes [start, stop), in bounds and not empty."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """The value of `Content-Range` for this part of `size` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


class Unsatisfiable(Exception):
    """No range that was asked for overlaps the content."""


def parse_range(header: str | None, size: int) -> Sequence[ByteRange]:
    """The ranges of `size` bytes that a `Range` header selects, in its order.

    Empty: send the whole, because there is no header, or one that is malformed, of another unit,
    of too many ranges, or of overlapping ones that ask for more than the whole.
    Raises `Unsatisfiable`.
    """
    if header is None:
        return ()
    unit, _, specs = header.partition("=")
    if unit.strip().lower() != "bytes" or specs.count(",") >= MAX_RANGES:
        return ()
    selected = []
    for spec in specs.split(","):
        found = _SPEC.fullmatch(spec)
        if found is None:
            return ()
        first, last, suffix = found.groups()
        if last and int(last) < int(first):
            return ()
        if part := _overlap(first, last, suffix, size):
            selected.append(part)
    if not selected:
        raise Unsatisfiable
    return selected if sum(part.size for part in selected) <= size else ()


def _overlap(
    first: str | None, last: str | None, suffix: str | None, size: int
) -> ByteRange | None:
    if suffix is not None:
        start, stop = max(0, size - int(suffix)), size
    else:
        start, stop = int(first or 0), min(size, int(last) + 1) if last else size
    return ByteRange(start, stop) if start < stop else None


Part = tuple[bytes, ByteRange]
"""A range, after the bytes that go before it."""


@dataclass(frozen=True, slots=True)
class Multipart:
    """A `multipart/byteranges` body: each range with what goes before it, and the closing line."""

    parts: Sequence[Part]
    end: bytes
    size: int
    """Of the whole body, in bytes."""

    def runs(self) -> Iterator[Sequence[Part]]:
        """All parts in their order, in groups that one read serves: rising, with small gaps."""
        run: list[Part] = []
        for part in self.parts:
            if run and not 0 <= part[1].start - run[-1][1].stop <= MAX_GAP:
                yield run
                run = []
            run.append(part)
        yield run


def multipart(ranges: Sequence[ByteRange], size: int, media_type: str, boundary: str) -> Multipart:
    """Lay out the body that answers `ranges` of `size` bytes."""
    parts: list[Part] = []
    line_end = ""
    for part in ranges:
        head = (
            f"{line_end}--{boundary}\r\nContent-Type: {media_type}\r\n"
            f"Content-Range: {part.content_range(size)}\r\n\r\n"
        )
        parts.append((head.encode(), part))
        line_end = "\r\n"
    end = f"\r\n--{boundary}--\r\n".encode()
    return Multipart(parts, end, len(end) + sum(len(head) + part.size for head, part in parts))
