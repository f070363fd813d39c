"""Tries everything that a store is asked for, with a few bytes, and says what fails.

For the operator who has just configured a driver: rights, addresses and settings that are wrong
show here, one after the other, and not in the middle of somebody's push.  Nothing is left in the
store.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from registry_storage.digest import Digest
from registry_storage.drivers.api import (
    BlobKind,
    Buffer,
    Driver,
    Handle,
    Mark,
    Redirects,
    StoredBlob,
)
from registry_storage.errors import BlobNotFound, DriverError, RegistryError

VALID_FOR: Final = 60.0
"""Seconds for which the probe's URL is good."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How one step of the probe went."""

    step: str
    problem: str | None = None
    """What is wrong and what to do; None: it went well."""


async def probe(driver: Driver) -> AsyncIterator[Finding]:
    """Start the driver, try it, and close it; each step as it is done.

    After a step that fails the others are tried all the same, but none without a started driver and
    none on a blob that could not be written.
    """
    attempt = _Attempt(driver)
    try:
        opened = await _tried("open the store", driver.start)
        yield opened
        if opened.problem is None:
            async for finding in attempt.steps():
                yield finding
    finally:
        with suppress(RegistryError):
            await attempt.clean_up()
        await driver.close()


@dataclass(slots=True)
class _Attempt:
    driver: Driver
    data: bytes = field(default_factory=lambda: secrets.token_bytes(64))
    blobs: list[StoredBlob] = field(default_factory=list)
    handles: list[Handle] = field(default_factory=list)

    async def steps(self) -> AsyncIterator[Finding]:
        """Each as it is done."""
        written = await _tried("write a blob", self._write)
        yield written
        if written.problem is None:
            yield await _tried("read it", self._read)
            yield await _tried("read a range of it", self._read_range)
            yield await _tried("look it up", self._stat)
            yield await _tried("list what is stored", self._list)
        yield await _tried("upload another in parts", self._upload)
        yield await _tried("give up an upload", self._abort)
        yield await _tried("list uploads under way", self._list_uploads)
        if written.problem is None and self.driver.extension(Redirects) is not None:
            yield await _tried("sign a URL for clients", self._sign)
        if self.blobs:
            yield await _tried("delete what was written", self._delete)

    async def clean_up(self) -> None:
        """Remove whatever is still there."""
        for handle in self.handles:
            await self.driver.abort_upload(handle)
        if self.blobs:
            await self.driver.delete_blobs([blob.location for blob in self.blobs])

    @property
    def _mark(self) -> Mark:
        return Mark(BlobKind.BLOB, Digest.of(self.data))

    async def _write(self) -> None:
        self.blobs.append(await self.driver.put_blob(_new_id(), [self.data], self._mark))

    async def _read(self) -> None:
        await self._expect(0, self.data)

    async def _read_range(self) -> None:
        await self._expect(16, self.data[16:48])

    async def _expect(self, start: int, expected: bytes) -> None:
        location = self.blobs[0].location
        async with self.driver.read_blob(location, start, start + len(expected)) as pieces:
            found = b"".join([piece async for piece in pieces])
        if found != expected:
            raise DriverError(f"other bytes came back from {location} than were written")

    async def _stat(self) -> None:
        found = await self.driver.stat_blob(self.blobs[0].location)
        if found.size != len(self.data):
            raise DriverError(f"the blob has {found.size} bytes instead of {len(self.data)}")

    async def _list(self) -> None:
        async for _ in self.driver.list_blobs():
            return
        raise DriverError("the list is empty, although a blob has just been stored")

    async def _upload(self) -> None:
        handle = await self._begin()
        part = await self.driver.put_part(handle, 1, 0, _Held(self.data), len(self.data))
        self.blobs.append(await self.driver.commit_upload(handle, [part], self._mark))
        self.handles.remove(handle)

    async def _abort(self) -> None:
        handle = await self._begin()
        await self.driver.abort_upload(handle)
        self.handles.remove(handle)

    async def _begin(self) -> Handle:
        handle = await self.driver.begin_upload(_new_id())
        self.handles.append(handle)
        return handle

    async def _list_uploads(self) -> None:
        async for _ in self.driver.list_uploads(datetime.now(UTC)):
            return

    async def _sign(self) -> None:
        redirects = self.driver.extension(Redirects)
        assert redirects is not None, "asked for by the caller"
        await redirects.blob_url(self.blobs[0].location, VALID_FOR)

    async def _delete(self) -> None:
        await self.driver.delete_blobs([blob.location for blob in self.blobs])
        for blob in self.blobs:
            with suppress(BlobNotFound):
                await self.driver.stat_blob(blob.location)
                raise DriverError(f"{blob.location} is still there")
        self.blobs.clear()


@dataclass(frozen=True, slots=True)
class _Held:
    """A part in memory; can be iterated again."""

    data: bytes

    async def __aiter__(self) -> AsyncIterator[Buffer]:
        yield self.data


def _new_id() -> str:
    return secrets.token_hex(16)


async def _tried(step: str, call: Callable[[], Awaitable[None]]) -> Finding:
    try:
        await call()
    except RegistryError as error:
        return Finding(step, str(error))
    return Finding(step)
