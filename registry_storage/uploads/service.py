"""The calls of a client on uploads.

Nothing is kept between two calls: each reads the session's row, and any process may serve the next.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from registry_storage.buffers import Reservation
from registry_storage.catalog import Catalog, upload_ends, uploads
from registry_storage.catalog.blobs import BlobRow
from registry_storage.catalog.uploads import Session
from registry_storage.digest import Digest, parse_algorithm
from registry_storage.drivers.api import BlobKind, Buffer, Buffers, Driver, Handle, Mark, MiB, Part
from registry_storage.errors import (
    BlobNotFound,
    PartLost,
    RegistryError,
    UploadConflict,
    UploadNotFound,
    UploadUnknown,
)
from registry_storage.hashing import new_hasher, restore_hasher
from registry_storage.parts import ROW_TAIL
from registry_storage.policy import StorePolicy
from registry_storage.uploads.context import DEFAULT_BUFFERS, UploadContext, fresh_blob_id
from registry_storage.uploads.intake import HashingAside, Intake
from registry_storage.uploads.publishing import Publishing, wrong_digest
from registry_storage.uploads.storing import Storing
from registry_storage.values import UploadStatus

ANONYMOUS_FACTOR = 100
"""Where nobody logs in, all clients are one subject, which may have this many times the uploads."""

_LOST = (BlobNotFound, PartLost, UploadNotFound)
"""What a driver raises where another request was quicker, or where it has lost an upload."""


class Uploads:
    """The uploads of one store.  `buffers` bounds what they hold in memory, in bytes."""

    def __init__(
        self, driver: Driver, catalog: Catalog, policy: StorePolicy, buffers: int = DEFAULT_BUFFERS
    ) -> None:
        self._context = UploadContext(driver, catalog, policy, buffers)
        self._publishing = Publishing(self._context)

    async def close(self) -> None:
        """Finish what was begun on behalf of requests that are gone."""
        await self._context.close()

    async def begin(self, repository: str, subject: str, algorithm: str) -> UploadStatus:
        """Open a session.  Raises `TooManyUploads`, `DigestInvalid` for an unknown algorithm."""
        upload_id = fresh_blob_id()
        limit = self._context.policy.max_open_uploads
        # It holds no bytes yet: who loses it to a power failure has to begin again anyway.
        await self._context.catalog.write_unflushed(
            uploads.begin,
            repository,
            upload_id,
            subject,
            parse_algorithm(algorithm),
            self._context.plan.fixed_size,
            limit=limit if subject else limit * ANONYMOUS_FACTOR,
            terms=self._context.terms,
        )
        return self._status(upload_id, 0)

    async def status(self, repository: str, upload_id: str, subject: str) -> UploadStatus:
        """Where the session stands.  Raises `UploadUnknown`."""
        session = await self._load(repository, upload_id, subject)
        if session.state not in ("open", "committing"):
            raise _over(session)
        return self._status(upload_id, session.offset)

    async def append(
        self,
        repository: str,
        upload_id: str,
        subject: str,
        data: AsyncIterable[Buffer],
        start: int | None = None,
        size: int | None = None,
    ) -> UploadStatus:
        """Add a chunk.  Where the client leaves, what came is kept, and its error passes on.

        Raises `UploadConflict`, `UploadUnknown`, `SizeInvalid`.
        """
        session = await self._load(repository, upload_id, subject)
        _check_continues(session, start)
        intake = self._intake(session, session.algorithm, data, size)
        try:
            session = await self._keep(session, intake)
        except UploadNotFound as error:
            raise await self._lost(session) from error
        return self._status(upload_id, session.offset)

    async def finish(
        self,
        repository: str,
        upload_id: str,
        subject: str,
        digest: Digest,
        data: AsyncIterable[Buffer],
        start: int | None = None,
        size: int | None = None,
    ) -> BlobRow:
        """Add the last chunk, check the digest, publish and link the blob; where it lies.

        Raises `DigestInvalid` (the session is gone then), `UploadConflict`, `UploadUnknown`,
        `SizeInvalid`.
        """
        session = await self._load(repository, upload_id, subject)
        try:
            if session.state != "open":
                return await self._repeat(session, digest, subject)
            _check_continues(session, start)
            return await self._finish(session, digest, data, size, subject)
        except (UploadConflict, UploadUnknown, *_LOST) as error:
            return await self._after_race(session, digest, subject, error)

    async def cancel(self, repository: str, upload_id: str, subject: str) -> None:
        """End a session.  Raises `UploadUnknown`."""
        session = await self._load(repository, upload_id, subject)
        try:
            await self._publishing.drop(session.id, session.version)
        except UploadConflict:
            # It went on to `committing` meanwhile; from there it can only end.
            session = await self._load(repository, upload_id, subject)
            await self._publishing.drop(session.id, session.version)

    async def put(
        self,
        repository: str,
        data: bytes | AsyncIterable[Buffer],
        digest: Digest | None = None,
        actor: str = "",
    ) -> BlobRow:
        """Store a blob without a client's session.  Raises `DigestInvalid`."""
        if isinstance(data, bytes) and len(data) <= self._context.plan.whole_limit:
            return await self._put_whole(repository, data, digest, actor)
        stream = _pieces(data) if isinstance(data, bytes) else data
        algorithm = digest.algorithm if digest else "sha256"
        status = await self.begin(repository, actor, algorithm)
        session = await self._load(repository, status.id, actor)
        try:
            return await self._finish(session, digest, stream, None, actor)
        except BaseException:
            # Nobody knows the session, so nobody could go on with it.
            self._context.later(self._publishing.drop(session.id, session.version))
            raise

    def abandon(self, handle: Handle) -> None:
        """Have the driver forget an upload whose session went with its repository."""
        self._context.abandon_handle(handle)

    def discard(self, location: str) -> None:
        """See to it that bytes go which no row names, even if the request is being cancelled."""
        self._context.discard(location)

    # Adding bytes

    async def _keep(self, session: Session, intake: Intake) -> Session:
        """Store all that the request brings; passes on that the client left."""
        storing = Storing(self._context, session, intake)
        await storing.store(final=False)
        intake.raise_if_interrupted()
        return storing.session

    def _intake(
        self, session: Session, algorithm: str, data: AsyncIterable[Buffer], size: int | None
    ) -> Intake:
        hasher = None
        if session.offset == 0:
            hasher = new_hasher(algorithm)
        elif session.hash_state is not None and session.algorithm == algorithm:
            hasher = restore_hasher(session.hash_state, algorithm)
        hashing = HashingAside(hasher, self._context.hashing) if hasher else None
        return Intake(data, size, hashing)

    # Finishing

    async def _finish(
        self,
        session: Session,
        digest: Digest | None,
        data: AsyncIterable[Buffer],
        size: int | None,
        actor: str,
    ) -> BlobRow:
        intake = self._intake(session, digest.algorithm if digest else "sha256", data, size)
        most = self._context.plan.whole_limit - session.tails_size
        known = intake.remaining
        room = None
        if session.handle is None and (known is None or known <= most):
            room = await self._room(most if known is None else known)
        if room is not None:
            with room:
                if await intake.peek(most + 1) <= most and intake.interrupted is None:
                    return await self._finish_whole(session, digest, intake, actor)
                if not self._context.plan.streams:
                    return await self._finish_parts(session, digest, intake, actor, room)
        return await self._finish_parts(session, digest, intake, actor)

    async def _room(self, size: int) -> Reservation | None:
        """Room for a whole blob in memory; None: a stream takes less, and need not wait."""
        if self._context.plan.streams:
            return self._context.budget.reserve_now(size)
        return await self._context.budget.reserve(size)

    async def _finish_whole(
        self, session: Session, digest: Digest | None, intake: Intake, actor: str
    ) -> BlobRow:
        """Everything is in tails and in memory: one call on the store, one transaction."""
        if digest and session.tails_size > ROW_TAIL and session.tails == 1 and intake.exhausted:
            return await self._finish_claim(session, digest, intake, None, actor)
        tails = await Storing(self._context, session, intake).tails()
        body = await intake.take(self._context.plan.whole_limit)
        found = await self._digest(intake, digest, [*tails, *body])
        await self._check(session, digest, found)
        blob = await self._put_pieces([*tails, *body], found)
        try:
            return await self._context.catalog.write(
                upload_ends.complete_whole, session, blob, actor=actor, terms=self._context.terms
            )
        except BaseException:
            self._context.discard(blob.location, session.id)
            raise

    async def _finish_parts(
        self,
        session: Session,
        digest: Digest | None,
        intake: Intake,
        actor: str,
        room: Reservation | None = None,
    ) -> BlobRow:
        """The last bytes become parts, and the store joins them.

        `room` is for those that are in memory already.
        """
        storing = Storing(self._context, session, intake, room)
        last = await storing.store(final=True)
        intake.raise_if_interrupted()
        return await self._finish_claim(storing.session, digest, intake, last, actor)

    async def _finish_claim(
        self,
        session: Session,
        digest: Digest | None,
        intake: Intake,
        last: Part | None,
        actor: str,
    ) -> BlobRow:
        hasher = await intake.hasher()
        found = hasher.digest() if hasher else None
        if found is not None:
            await self._check(session, digest, found)
        announced = digest or found
        assert announced is not None, "a session that began here is hashed here"
        claim = await self._context.catalog.write(
            upload_ends.claim,
            session,
            announced,
            checked=found is not None,
            last_part=last,
            terms=self._context.terms,
        )
        return await self._publishing.publish(claim, actor)

    async def _check(self, session: Session, digest: Digest | None, found: Digest) -> None:
        if digest is not None and digest != found:
            await self._publishing.drop(session.id, session.version)
            raise wrong_digest(digest, found)

    async def _digest(self, intake: Intake, digest: Digest | None, pieces: Buffers) -> Digest:
        """The digest of `pieces`, which are the session's tails and this request's bytes."""
        hasher = await intake.hasher()
        if hasher is not None:
            return hasher.digest()
        hashing = HashingAside(
            new_hasher(digest.algorithm if digest else "sha256"), self._context.hashing
        )
        for piece in pieces:
            await hashing.add(piece)
        return (await hashing.settled()).digest()

    async def _put_pieces(self, pieces: Buffers, digest: Digest) -> BlobRow:
        stored = await self._context.driver.put_blob(
            fresh_blob_id(), pieces, Mark(BlobKind.BLOB, digest)
        )
        return BlobRow(digest, stored.size, stored.location)

    async def _put_whole(
        self, repository: str, data: bytes, digest: Digest | None, actor: str
    ) -> BlobRow:
        hashing = HashingAside(
            new_hasher(digest.algorithm if digest else "sha256"), self._context.hashing
        )
        await hashing.add(data)
        found = (await hashing.settled()).digest()
        if digest is not None and digest != found:
            raise wrong_digest(digest, found)
        blob = await self._put_pieces([data], found)
        try:
            return await self._context.catalog.write(
                upload_ends.link_whole, repository, blob, actor=actor, terms=self._context.terms
            )
        except BaseException:
            self._context.discard(blob.location)
            raise

    # When another request was there before

    async def _repeat(self, session: Session, digest: Digest, actor: str) -> BlobRow:
        """The answer to a PUT whose session is past `open`: take over, or answer once more."""
        if session.state == "done" and session.digest == digest:
            return await self._context.catalog.write(
                upload_ends.repeat, session, terms=self._context.terms
            )
        if session.state == "committing" and session.digest == digest:
            claim = await self._context.catalog.read(upload_ends.load_claim, session)
            return await self._publishing.publish(claim, actor)
        if session.state == "committing":
            raise _being_finished(session)
        raise _over(session)

    async def _after_race(
        self, before: Session, digest: Digest, actor: str, error: RegistryError
    ) -> BlobRow:
        """Read the row again: another PUT of the same digest may have been quicker.

        It may be quicker once more while this one takes over: it publishes the blob, which ends
        the upload in the driver, then marks and links it.  Each leaves its trace in the row once.
        """
        session = await self._load(before.repository, before.id, before.subject)
        went_on = (session.version, session.location) != (before.version, before.location)
        if went_on and session.state in ("committing", "done") and session.digest == digest:
            try:
                return await self._repeat(session, digest, actor)
            except (UploadConflict, UploadUnknown, *_LOST) as again:
                return await self._after_race(session, digest, actor, again)
        if isinstance(error, PartLost | UploadNotFound):
            raise await self._lost(session) from error
        raise error

    async def _lost(self, before: Session) -> RegistryError:
        """What to tell a client whose upload the driver does not hold.

        Another request may have published or aborted it meanwhile; else the session ends.
        """
        session = await self._load(before.repository, before.id, before.subject)
        if (session.version, session.location) != (before.version, before.location):
            return _being_finished(session) if session.state == "committing" else _over(session)
        await self._publishing.drop(session.id, session.version)
        return UploadUnknown("the store has lost bytes of the upload; begin a new one")

    # Shared

    async def _load(self, repository: str, upload_id: str, subject: str) -> Session:
        return await self._context.catalog.pulls.session(repository, upload_id, subject)

    def _status(self, upload_id: str, offset: int) -> UploadStatus:
        return UploadStatus(upload_id, offset, self._context.plan.min_chunk)


def _check_continues(session: Session, start: int | None) -> None:
    if session.state == "committing":
        raise _being_finished(session)
    if session.state != "open":
        raise _over(session)
    if start is not None and start != session.offset:
        raise UploadConflict(
            session.offset,
            f"the chunk begins at {start}, but {session.offset} bytes are held; go on there",
        )


def _being_finished(session: Session) -> UploadConflict:
    return UploadConflict(session.offset, "another request is finishing the upload")


def _over(session: Session) -> UploadUnknown:
    return UploadUnknown(f"upload {session.id} has ended; begin a new one")


async def _pieces(data: bytes) -> AsyncIterator[Buffer]:
    view = memoryview(data)
    for start in range(0, len(data), MiB):
        yield view[start : start + MiB]
