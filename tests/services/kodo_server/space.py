"""Buckets, objects and uploads, their bytes in files."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.services.kodo_server.signatures import Refused, UploadPolicy, encoded

MiB = 1024 * 1024
BLOCK = 4 * MiB
SMALLEST_PART = 1 * MiB
LARGEST_PART = 1024 * MiB
LAST_PART = 10_000
UPLOAD_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that were received: a file, and what was computed on the way."""

    file: Path
    size: int
    etag: str
    md5: str
    crc32: int


class Receiving:
    """Writes bytes to a file and hashes them as Kodo does: SHA-1 by blocks of 4 MiB."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self._file = file.open("xb")
        self._blocks: list[bytes] = []
        self._block = hashlib.sha1()
        self._in_block = 0
        self._md5 = hashlib.md5()
        self._crc32 = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._md5.update(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        while data:
            piece, data = data[: BLOCK - self._in_block], data[BLOCK - self._in_block :]
            self._block.update(piece)
            self._in_block += len(piece)
            if self._in_block == BLOCK:
                self._end_block()

    def finish(self) -> Content:
        size = self._file.tell()
        self._file.close()
        if self._in_block or not self._blocks:
            self._end_block()
        return Content(self._path, size, etag(self._blocks), self._md5.hexdigest(), self._crc32)

    def discard(self) -> None:
        self._file.close()
        self._path.unlink()

    def _end_block(self) -> None:
        self._blocks.append(self._block.digest())
        self._block = hashlib.sha1()
        self._in_block = 0


def etag(blocks: Sequence[bytes]) -> str:
    """Kodo's hash of an object, from those of its blocks."""
    if len(blocks) == 1:
        return encoded(b"\x16" + blocks[0])
    return encoded(b"\x96" + hashlib.sha1(b"".join(blocks)).digest())


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its bytes are those of its files, one after the other."""

    contents: tuple[Content, ...]
    etag: str
    mime: str
    put_time: int
    """In units of 100 ns since 1970."""

    @property
    def size(self) -> int:
        return sum(content.size for content in self.contents)

    def facts(self) -> dict[str, Any]:
        """As `stat` and `list` tell them."""
        return {
            "fsize": self.size,
            "hash": self.etag,
            "mimeType": self.mime,
            "putTime": self.put_time,
            "type": 0,
        }

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes of a range."""
        for content in self.contents:
            here = slice(max(start, 0), min(stop, content.size))
            if here.start < here.stop:
                yield from _file_pieces(content.file, here.start, here.stop)
            start, stop = start - content.size, stop - content.size


def _file_pieces(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < stop and (piece := file.read(min(stop - start, MiB))):
            start += len(piece)
            yield piece


@dataclass(slots=True)
class Upload:
    """A multipart upload of one key."""

    key: str
    expires: float
    parts: dict[int, Content] = field(default_factory=dict)


@dataclass(slots=True)
class Bucket:
    """A bucket; `domain` is where it is downloaded from, once that listens."""

    name: str
    region: str
    is_private: bool
    domain: str = ""
    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def object(self, key: str) -> Stored:
        if key not in self.objects:
            raise Refused(612, "no such file or directory")
        return self.objects[key]


@dataclass(slots=True)
class Space:
    """Everything there is, and what time it is there."""

    folder: Path
    buckets: dict[str, Bucket] = field(default_factory=dict)
    ahead: float = 0.0
    """How many seconds its clock is ahead of the machine's."""

    def now(self) -> float:
        return time.time() + self.ahead

    def bucket(self, name: str, region: str) -> Bucket:
        """The bucket, if it is of this region."""
        found = self.buckets.get(name)
        if found is None or found.region != region:
            raise Refused(631, "no such bucket")
        return found

    async def receive(self, chunks: AsyncIterator[bytes]) -> Content:
        """Store bytes as they come; nothing where they break off."""
        receiving = Receiving(self.folder / secrets.token_hex(16))
        try:
            async for chunk in chunks:
                receiving.write(chunk)
                await asyncio.sleep(0)
        except BaseException:
            receiving.discard()
            raise
        return receiving.finish()

    # Objects

    def put(
        self, bucket: Bucket, key: str, contents: Sequence[Content], mime: str, policy: UploadPolicy
    ) -> dict[str, str]:
        """Publish an object, as far as the policy allows."""
        policy.check(bucket.name, key)
        policy.check_size(sum(content.size for content in contents))
        hashed = contents[0].etag if len(contents) == 1 else _joint_etag(contents)
        if found := bucket.objects.get(key):
            same = found.etag == hashed and not policy.insert_only
            if not same and (policy.insert_only or not policy.names_a_key):
                raise Refused(614, "file exists")
            self.delete(bucket, key)
        bucket.objects[key] = Stored(tuple(contents), hashed, mime, int(self.now() * 10_000_000))
        return {"hash": hashed, "key": key}

    def delete(self, bucket: Bucket, key: str) -> None:
        bucket.object(key)
        _forget(bucket.objects.pop(key).contents)

    def copy(self, bucket: Bucket, key: str, to: Bucket, new: str, *, force: bool) -> None:
        source = bucket.object(key)
        if new in to.objects:
            if not force:
                raise Refused(614, "file exists")
            self.delete(to, new)
        to.objects[new] = Stored(
            tuple(map(self._linked, source.contents)), source.etag, source.mime, source.put_time
        )

    def _linked(self, content: Content) -> Content:
        file = self.folder / secrets.token_hex(16)
        os.link(content.file, file)
        return Content(file, content.size, content.etag, content.md5, content.crc32)

    # Multipart uploads

    def begin(self, bucket: Bucket, key: str) -> dict[str, Any]:
        upload_id, expires = secrets.token_hex(16), self.now() + UPLOAD_SECONDS
        bucket.uploads[upload_id] = Upload(key, expires)
        return {"uploadId": upload_id, "expireAt": int(expires)}

    def upload(self, bucket: Bucket, key: str, upload_id: str) -> Upload:
        """The upload, if it is there and not too old."""
        found = bucket.uploads.get(upload_id)
        if found and found.expires < self.now():
            self.forget(bucket, upload_id)
            found = None
        if found is None or found.key != key:
            raise Refused(612, "no such uploadId")
        return found

    def add_part(self, upload: Upload, number: int, content: Content) -> dict[str, str]:
        if replaced := upload.parts.get(number):
            _forget([replaced])
        upload.parts[number] = content
        return {"etag": content.etag, "md5": content.md5}

    def complete(
        self,
        bucket: Bucket,
        upload_id: str,
        key: str,
        order: dict[str, Any],
        policy: UploadPolicy,
    ) -> dict[str, str]:
        """Publish the parts that `order` names; those that it does not name go."""
        upload = self.upload(bucket, key, upload_id)
        parts = _chosen(upload, order.get("parts") or [])
        mime = order.get("mimeType") or "application/octet-stream"
        # Multipart uploads overwrite whatever the token's scope, unless it says insertOnly.
        if key in bucket.objects and not policy.insert_only:
            self.delete(bucket, key)
        answer = self.put(bucket, key, parts, mime, policy)
        for content in parts:
            del upload.parts[next(n for n, part in upload.parts.items() if part is content)]
        self.forget(bucket, upload_id)
        return answer

    def forget(self, bucket: Bucket, upload_id: str) -> None:
        _forget(bucket.uploads.pop(upload_id).parts.values())


def _chosen(upload: Upload, named: Sequence[dict[str, Any]]) -> list[Content]:
    numbers = [part["partNumber"] for part in named]
    if not numbers or numbers != sorted(set(numbers)):
        raise Refused(400, "invalid parts: they must ascend")
    for part in named:
        stored = upload.parts.get(part["partNumber"])
        if stored is None or stored.etag != part["etag"]:
            raise Refused(400, f"invalid part {part['partNumber']}")
    chosen = [upload.parts[number] for number in numbers]
    if any(part.size < SMALLEST_PART for part in chosen[:-1]):
        raise Refused(400, "a part is too small")
    return chosen


def _joint_etag(contents: Sequence[Content]) -> str:
    digest = hashlib.sha1("".join(content.etag for content in contents).encode()).digest()
    return encoded(b"\x9e" + digest)


def _forget(contents: Any) -> None:
    for content in contents:
        content.file.unlink()
