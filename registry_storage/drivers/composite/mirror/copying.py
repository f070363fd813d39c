"""Copies a blob from one store to another and checks its digest on the way."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from registry_storage.drivers.api import Buffer, Driver, Handle, Part, PartData, StoredBlob
from registry_storage.drivers.composite.mirror.naming import Place
from registry_storage.errors import DriverError
from registry_storage.parts import PartPlan


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes in memory, as the data of a part that several stores are given."""

    buffers: list[Buffer]

    @classmethod
    async def all_of(cls, data: PartData) -> Held:
        """What `data` gives: no copy, where it is in memory already."""
        return cls([buffer async for buffer in data])

    async def __aiter__(self) -> AsyncIterator[Buffer]:
        for buffer in self.buffers:
            yield buffer


async def copy_blob(place: Place, source: Driver, target: Driver) -> StoredBlob:
    """Copy a blob under its id and mark.

    Raises `DriverError`, and publishes nothing, where the bytes do not have the mark's digest.
    """
    size = (await source.stat_blob(place.within(source))).size
    async with source.read_blob(place.within(source)) as pieces:
        content = _Content(place, pieces)
        if size <= PartPlan(target.limits).whole_limit:
            held = await Held.all_of(content.upto(size))
            content.check()
            return await target.put_blob(place.blob_id, held.buffers, place.mark)
        return await _upload(content, size, target)


async def _upload(content: _Content, size: int, target: Driver) -> StoredBlob:
    place = content.place
    handle = await target.begin_upload(place.blob_id)
    try:
        parts = await _send(content, size, target, handle)
        content.check()
        return await target.commit_upload(handle, parts, place.mark)
    except BaseException:
        with suppress(DriverError):  # nobody knows this upload: it is purged with its like
            await target.abort_upload(handle)
        raise


async def _send(content: _Content, size: int, target: Driver, handle: Handle) -> list[Part]:
    plan, parts, offset = PartPlan(target.limits), list[Part](), 0
    while offset < size:
        number = len(parts) + 1
        length = min(plan.part_size(number) or size, size - offset)
        data: PartData = content.upto(length)
        if not plan.streams:
            data = await Held.all_of(data)
        parts.append(await target.put_part(handle, number, offset, data, length))
        offset += length
    return parts


class _Content:
    """The bytes of a blob as they are read, in order."""

    def __init__(self, place: Place, pieces: AsyncIterator[bytes]) -> None:
        self.place = place
        self._pieces = pieces
        self._left = b""
        self._hash = hashlib.new(place.mark.digest.algorithm) if place.mark else None

    async def upto(self, length: int) -> AsyncIterator[Buffer]:
        """The next bytes, so many of them or all that there are."""
        while length and (piece := self._left or await anext(self._pieces, b"")):
            piece, self._left = piece[:length], piece[length:]
            length -= len(piece)
            if self._hash:
                self._hash.update(piece)
            yield piece

    def check(self) -> None:
        """Raises `DriverError` if what was read is not what the mark vouches for."""
        mark = self.place.mark
        if self._hash and mark and self._hash.hexdigest() != mark.digest.hex:
            raise DriverError(
                f"a copy of {self.place.location} does not have its digest; verify that store",
                location=self.place.location,
            )
