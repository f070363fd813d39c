"""Objects by name in one container, below the configured prefix.  Blocking."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from swiftclient import client as swift  # type: ignore[import-untyped]

from registry_storage.drivers._object_layout import Listed, root_prefix
from registry_storage.drivers.api import Buffer, Buffers
from registry_storage.drivers.swift.account import Account, Opened
from registry_storage.drivers.swift.failures import is_status, parts_are_gone
from registry_storage.errors import DriverError, PartLost

R = TypeVar("R")

PAGE: Final = 1000
"""Names in one answer of a listing: a join holds a page of each of its listings in memory."""

_BYTES: Final = "application/octet-stream"
_NEWEST: Final = {"X-Newest": "true"}
"""Ask every replica, not just the first that answers: one may have missed a deletion."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object that is there."""

    size: int
    stored_at: datetime
    is_manifest: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """What a manifest says of a segment."""

    key: str
    etag: str
    size: int


class Pieces:
    """Buffers as a file, so that nobody has to join them."""

    def __init__(self, data: Buffers) -> None:
        self._left = deque(memoryview(buffer).cast("B") for buffer in data if len(buffer))

    def read(self, size: int = -1) -> Buffer:
        """Up to `size` bytes of one buffer; nothing at the end."""
        if not self._left:
            return b""
        piece = self._left.popleft()
        if 0 <= size < len(piece):
            self._left.appendleft(piece[size:])
            return piece[:size]
        return piece


class Container:
    """One container; keys are relative to the prefix."""

    def __init__(self, account: Account, name: str, prefix: str, *, conditional_puts: bool) -> None:
        self.name = name
        self._account = account
        self._root = root_prefix(prefix)
        self._conditional_puts = conditional_puts

    def ensure(self) -> Mapping[str, str]:
        """Make the container if it is missing; what the store says of it."""
        headers = self._container_headers()
        if headers is None:
            self._account.call(f"making the container {self.name}", swift.put_container, self.name)
            headers = self._container_headers()
        if headers is None:
            raise DriverError(f"the container {self.name} is not there after it has been made")
        return headers

    def full_name(self, key: str) -> str:
        """The object's name in the container."""
        return f"{self._root}{key}"

    def head(self, key: str, *, newest: bool = False) -> Found | None:
        """The object, if it is there; `newest`: even where one replica is behind the others."""
        headers = _NEWEST if newest else {}
        answer = _if_there(lambda: self._call("HEAD", key, swift.head_object, headers=headers))
        return _found(answer) if answer is not None else None

    def open(self, key: str, byte_range: str | None) -> Opened | None:
        """The object's bytes, or those of a range (`3-5`, `3-`); None: there is no object.

        Raises `DriverError` with the cause of an answer 416 where the range begins past the end.
        """
        headers = {"Range": f"bytes={byte_range}"} if byte_range else {}
        name = self.full_name(key)
        what = f"GET {self.name}/{name}"
        return _if_there(lambda: self._account.opened(what, self.name, name, headers))

    def put(self, key: str, data: Buffers) -> str:
        """Store an object, replacing one of that name, and answer its checksum."""
        return self._put(key, data, {})

    def put_once(self, key: str, data: Buffers) -> None:
        """As `put`, unless an object of that name is there: then nothing.

        Where the cluster cannot do both in one step, a concurrent call may replace equal bytes.
        """
        if not self._conditional_puts and self.head(key) is not None:
            return
        try:
            self._put(key, data, {"If-None-Match": "*"})
        except DriverError as error:
            if not _is_answer(error, 412):
                raise

    def put_manifest(self, key: str, container: Container, segments: Sequence[Segment]) -> None:
        """Publish segments that lie in `container` as one object, unless it is there.

        Raises `PartLost` where a segment is not what the manifest says.
        """
        entries = [
            {
                "path": f"/{container.name}/{container.full_name(segment.key)}",
                "etag": segment.etag,
                "size_bytes": segment.size,
            }
            for segment in segments
        ]
        try:
            self._call(
                "PUT",
                key,
                swift.put_object,
                contents=json.dumps(entries).encode(),
                content_type=_BYTES,
                query_string="multipart-manifest=put",
                headers={"If-None-Match": "*"},
            )
        except DriverError as error:
            if _is_answer(error, 412):
                return
            if _is_answer(error) and parts_are_gone(error.__cause__):
                raise PartLost(f"a part of {key} is gone, or not what was stored") from error
            raise

    def delete(self, key: str) -> None:
        """Delete the object, of a manifest just itself; succeeds when there is none."""
        _if_there(lambda: self._call("DELETE", key, swift.delete_object))

    def listing(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin with `prefix`, by name."""
        for item in self._rows(prefix):
            yield Listed(self._key(item["name"]), int(item["bytes"]), _listed_time(item))

    def folders(self, prefix: str) -> Iterator[str]:
        """The names directly below `prefix` that others lie below, in order."""
        for item in self._rows(prefix, delimiter="/"):
            if "subdir" in item:
                yield self._key(item["subdir"])[len(prefix) : -1]

    def _rows(self, prefix: str, **options: str) -> Iterator[Mapping[str, Any]]:
        marker = ""
        while rows := self._page(prefix, marker, **options):
            yield from rows
            marker = rows[-1].get("name") or rows[-1]["subdir"]

    def _page(self, prefix: str, marker: str, **options: str) -> list[Mapping[str, Any]]:
        _, rows = self._account.call(
            f"the listing of {self.name}",
            swift.get_container,
            self.name,
            prefix=self.full_name(prefix),
            marker=marker,
            limit=PAGE,
            **options,
        )
        return list(rows)

    def _put(self, key: str, data: Buffers, headers: dict[str, str]) -> str:
        size = sum(map(len, data))
        checksum = hashlib.md5(usedforsecurity=False)
        for buffer in data:
            checksum.update(buffer)

        def send(url: str, token: str, *args: Any, **kwargs: Any) -> str:
            contents = Pieces(data) if size else None
            return str(swift.put_object(url, token, *args, contents=contents, **kwargs))

        etag: str = self._call(
            "PUT",
            key,
            send,
            content_length=size,
            etag=checksum.hexdigest(),
            content_type=_BYTES,
            headers=headers,
        )
        return etag

    def _call(self, verb: str, key: str, function: Any, **kwargs: Any) -> Any:
        name = self.full_name(key)
        return self._account.call(f"{verb} {self.name}/{name}", function, self.name, name, **kwargs)

    def _container_headers(self) -> Mapping[str, str] | None:
        what = f"the container {self.name}"
        return _if_there(lambda: self._account.call(what, swift.head_container, self.name))

    def _key(self, name: str) -> str:
        return name[len(self._root) :]


def is_out_of_range(error: DriverError) -> bool:
    """Whether `Container.open` was asked for bytes past the end."""
    return _is_answer(error, 416)


def _is_answer(error: DriverError, *statuses: int) -> bool:
    """Whether Swift's answer is what is behind it, with one of these if any are given."""
    cause = error.__cause__
    return isinstance(cause, swift.ClientException) and (
        not statuses or is_status(cause, *statuses)
    )


def _if_there(call: Callable[[], R]) -> R | None:
    """What `call` answers; None where Swift says that there is no such thing."""
    try:
        return call()
    except DriverError as error:
        if not _is_answer(error, 404):
            raise
        return None


def _found(headers: Mapping[str, str]) -> Found:
    return Found(
        size=size_of(headers),
        stored_at=_stored_at(headers),
        is_manifest=headers.get("x-static-large-object", "").lower() == "true",
    )


def size_of(headers: Mapping[str, str]) -> int:
    """How many bytes an answer holds, or an object has."""
    if "content-length" in headers:
        return int(headers["content-length"])
    raise DriverError("the store does not tell an object's size: does a proxy change its answers?")


def _stored_at(headers: Mapping[str, str]) -> datetime:
    """To the second, downwards, as a listing's: `Last-Modified` is rounded up by some."""
    if exact := headers.get("x-timestamp"):
        return datetime.fromtimestamp(int(float(exact)), UTC)
    return parsedate_to_datetime(headers["last-modified"]).astimezone(UTC)


def _listed_time(item: Mapping[str, Any]) -> datetime:
    """`2026-11-25T02:07:23.783240`, at the gateway with a Z at its end."""
    text = str(item["last_modified"]).removesuffix("Z")
    return datetime.fromisoformat(text).replace(microsecond=0, tzinfo=UTC)
