"""Stores what one request brings to a session: parts and tails in the driver, then their rows.

For each part: take a number, store the bytes, then move the session's offset on from where this
request found it.  Of two racing requests one moves it, and the other is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

from registry_storage.buffers import Reservation
from registry_storage.catalog import uploads
from registry_storage.catalog.uploads import Session, Tail
from registry_storage.drivers.api import Buffer, Buffers, Part, PartData
from registry_storage.errors import SizeInvalid, UploadConflict, UploadUnknown
from registry_storage.parts import ROW_TAIL, PartPlan
from registry_storage.uploads.context import UploadContext, fresh_blob_id
from registry_storage.uploads.intake import Intake

MANY_TAILS = 100
"""So many chunks that are too small are put up with, on stores that announce a smallest one."""


class Storing:
    """One request at work on one session; `session` is as the last stored part left it.

    `room` is for what the intake has in memory already.
    """

    def __init__(
        self,
        context: UploadContext,
        session: Session,
        intake: Intake,
        room: Reservation | None = None,
    ) -> None:
        self.session = session
        self._context = context
        self._intake = intake
        self._room = room
        self._plan = PartPlan(context.driver.limits, session.part_size)
        self._number: int | None = None

    async def store(self, *, final: bool) -> Part | None:
        """Store all that the request brings.

        With `final` nothing is left as a tail, and the last part, if one is needed, is returned for
        the caller to record; not so where the client left before the end.
        """
        if self._plan.streams:
            return await self._store_stream(final)
        return await self._store_buffers(final)

    # Stores that take a request as it comes

    async def _store_stream(self, final: bool) -> Part | None:
        while True:
            held = self.session.tails_size
            size = held + await self._intake.peek(self._plan.min_part - held)
            if not size or (size < self._plan.min_part and not self._closes(final)):
                await self._leave_tail()
                return None
            part = await self._put_stream()
            if self._closes(final) and self._intake.exhausted:
                return part
            await self._record(part, await self._hash_state())

    async def _put_stream(self) -> Part:
        number = await self._take_number()
        most = self._plan.part_size(number)
        room = most and most - self.session.tails_size
        size = self._intake.remaining
        if size is not None:
            size = self.session.tails_size + min(size, room or size)
        data = _chain(await self.tails(), self._intake.stream(room))
        return await self._put_part(number, data, size)

    # Stores that take parts of a certain size: one is sent while the next is received

    async def _store_buffers(self, final: bool) -> Part | None:
        sending: _Sending | None = None
        try:
            while True:
                held = 0 if sending else self.session.tails_size
                missing = self._plan.part_size(self.session.next_part) - held
                with await self._reserve(missing) as room:
                    size = held + await self._intake.peek(missing)
                    goes = size - held >= missing or self._goes(size, final)
                    if sending:
                        await self._record(await sending.part, sending.hash_state, go_on=goes)
                    if not goes:
                        await self._leave_tail()
                        return None
                    sending = await self._send(missing, room)
                if self._closes(final) and self._intake.exhausted:
                    return await sending.part
        finally:
            await _stop(sending)

    def _goes(self, size: int, final: bool) -> bool:
        """Whether what is left over becomes a part."""
        if self._closes(final):
            return size > 0
        return self._plan.is_part(size, self.session.next_part)

    async def _send(self, missing: int, room: Reservation) -> _Sending:
        number = await self._take_number()
        pieces = _Pieces([*await self.tails(), *await self._intake.take(missing)])
        part = asyncio.create_task(self._put_part(number, pieces, pieces.size))
        detached = room.detach()
        part.add_done_callback(lambda _: detached.release())
        return _Sending(part, await self._hash_state())

    async def _reserve(self, missing: int) -> Reservation:
        remaining = self._intake.remaining
        wanted = missing if remaining is None else min(missing, remaining)
        room, self._room = self._room, None
        if room is not None:
            if room.size >= wanted:
                return room
            room.release()
        return await self._context.budget.reserve(wanted)

    # Steps of both

    def _closes(self, final: bool) -> bool:
        """Whether the request's end is the blob's."""
        return final and self._intake.interrupted is None

    async def _hash_state(self) -> bytes | None:
        """Of all that was delivered, if the session's next request can go on with it."""
        hasher = await self._intake.hasher()
        if hasher is None or hasher.algorithm != self.session.algorithm:
            return None
        return hasher.export()

    async def _take_number(self) -> int:
        number, self._number = self._number, None
        if number is None:
            number = await self._number_and_handle()
        most = self._context.driver.limits.max_parts
        if most is not None and number > most:
            raise SizeInvalid(f"this store keeps blobs of at most {most} parts; push larger chunks")
        self.session = replace(self.session, next_part=number + 1)
        return number

    async def _number_and_handle(self) -> int:
        catalog, session = self._context.catalog, self.session
        if session.handle is not None:
            return await catalog.write(uploads.take_number, session.id)
        mine = await self._context.driver.begin_upload(fresh_blob_id())
        try:
            handle, number = await catalog.write(uploads.enter_handle, session.id, mine)
        except (UploadUnknown, UploadConflict):
            self._context.abandon_handle(mine)
            raise
        if handle != mine:
            self._context.abandon_handle(mine)
        self.session = replace(session, handle=handle)
        return number

    async def _put_part(self, number: int, data: PartData, size: int | None) -> Part:
        assert self.session.handle is not None, "the number came with the handle"
        return await self._context.driver.put_part(
            self.session.handle, number, self.session.tails_from, data, size
        )

    async def _record(self, part: Part, hash_state: bytes | None, *, go_on: bool = False) -> None:
        catalog, terms = self._context.catalog, self._context.terms
        operation = uploads.add_part_and_go_on if go_on else uploads.add_part
        self._number = await catalog.write(operation, self.session, part, hash_state, terms=terms)
        self._moved(part.offset + part.size, hash_state)

    def _moved(self, offset: int, hash_state: bytes | None) -> None:
        self.session = replace(
            self.session, offset=offset, tails_from=offset, tails=0, hash_state=hash_state
        )

    # Tails

    async def tails(self) -> list[Buffer]:
        """The bytes of the session's tails.  Raises `UploadConflict` where they are others now."""
        if not self.session.tails:
            return []
        pieces: list[Buffer] = []
        for tail in await self._context.catalog.read(uploads.tails, self.session):
            if tail.data is not None:
                pieces.append(tail.data)
            else:
                async with self._context.driver.read_blob(str(tail.location)) as stored:
                    pieces += [piece async for piece in stored]
        return pieces

    async def _leave_tail(self) -> None:
        """Keep what is ahead for the next request: small in the catalog, larger in the driver."""
        pieces = await self._intake.take(self._plan.whole_limit)
        size = sum(map(len, pieces))
        if not size:
            return
        self._check_patience()
        hash_state = await self._hash_state()
        start = self.session.offset
        if size <= ROW_TAIL:
            await self._add_tail(Tail(start, size, data=b"".join(pieces)), hash_state)
            return
        stored = await self._context.driver.put_blob(fresh_blob_id(), pieces, None)
        try:
            await self._add_tail(Tail(start, size, location=stored.location), hash_state)
        except BaseException:
            self._context.discard(stored.location, self.session.id)
            raise

    async def _add_tail(self, tail: Tail, hash_state: bytes | None) -> None:
        catalog, terms = self._context.catalog, self._context.terms
        await catalog.write(uploads.add_tail, self.session, tail, hash_state, terms=terms)
        self.session = replace(
            self.session,
            offset=tail.end,
            tails=self.session.tails + 1,
            hash_state=hash_state,
        )

    def _check_patience(self) -> None:
        least = self._plan.min_chunk
        if least is not None and self.session.tails >= MANY_TAILS:
            raise SizeInvalid(f"too many small chunks: this store needs {least} bytes in each")


class _Pieces:
    """A part in memory; can be iterated again."""

    def __init__(self, pieces: Buffers) -> None:
        self._pieces = pieces
        self.size = sum(map(len, pieces))

    async def __aiter__(self) -> AsyncIterator[Buffer]:
        for piece in self._pieces:
            yield piece


@dataclass(frozen=True, slots=True)
class _Sending:
    """A part on its way to the store, and the state of the hash behind it."""

    part: asyncio.Task[Part]
    hash_state: bytes | None


async def _stop(sending: _Sending | None) -> None:
    """End a part that nobody waits for any more."""
    if sending is not None and not sending.part.done():
        sending.part.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([sending.part])


async def _chain(first: Buffers, rest: AsyncIterator[Buffer]) -> AsyncIterator[Buffer]:
    for piece in first:
        yield piece
    async for piece in rest:
        yield piece
