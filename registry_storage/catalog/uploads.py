"""Upload sessions: a state machine in a row, so that any process may go on with it.

    open ──► committing ──► done        a blob put whole goes open ──► done
      └────────┴──► aborting ──► (no row)

* Every step compares what it found with what is there now: `version` where the state changes,
  `offset` where bytes were added.  Of two racers one goes on; the other is refused, with the truth.
* A part's number is taken here and never given out again, so a request that was thought dead
  cannot overwrite a part of the one that took its place.
* What an upload drops (tails that became parts, a location that will not be linked) enters
  `garbage` in the transaction that drops it.

This module begins sessions and adds bytes; `upload_ends` publishes and aborts them.  Times are
milliseconds, of the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from registry_storage.catalog import garbage, repositories
from registry_storage.catalog.tables import repositories as repositories_table
from registry_storage.catalog.tables import upload_parts, upload_tails
from registry_storage.catalog.tables import uploads as table
from registry_storage.databases.types import db_now
from registry_storage.digest import Digest
from registry_storage.drivers.api import Handle, Part
from registry_storage.errors import TooManyUploads, UploadConflict, UploadUnknown


@dataclass(frozen=True, slots=True)
class Terms:
    """What the store promises, and whose its locations are: the same for every operation."""

    driver: str
    lease: int
    """Of a blob, from when a client was told that it is there."""
    lifetime: int
    """Of a session, from its last chunk."""
    answered: int
    """How long a session that is done answers a repeated request."""
    garbage_delay: int


@dataclass(frozen=True, slots=True)
class Session:
    """An upload's row, as one request found it."""

    id: str
    repository: str
    subject: str
    state: str
    version: int
    offset: int
    algorithm: str
    hash_state: bytes | None
    handle: Handle | None
    next_part: int
    part_size: int | None
    digest: Digest | None
    location: str | None
    """Where its blob lies, from `committing` on, once that is known."""
    tails_from: int
    """Where in the blob its tails begin; `offset` where it has none."""
    tails: int
    """How many."""

    @property
    def tails_size(self) -> int:
        """Bytes in its tails, in all."""
        return self.offset - self.tails_from


@dataclass(frozen=True, slots=True)
class Tail:
    """Bytes that wait to become part of a part: in the catalog (`data`) or in the driver."""

    offset: int
    size: int
    data: bytes | None = None
    location: str | None = None

    @property
    def end(self) -> int:
        """Where in the blob it ends."""
        return self.offset + self.size


_this = table.c.id == bindparam("upload_id")
_this_open = (_this, table.c.state == "open")
_tail_of_this = upload_tails.c.upload_id == bindparam("upload_id")
_tail_of_row = upload_tails.c.upload_id == table.c.id

_OPEN_OF_SUBJECT = select(func.count()).select_from(
    select(table.c.id)
    .where(table.c.subject == bindparam("subject"), table.c.state == "open")
    .limit(bindparam("at_most"))
    .subquery()
)
_BEGIN = insert(table).values(expires_at=db_now() + bindparam("lifetime"))
_tails_from = select(func.min(upload_tails.c.offset)).where(_tail_of_row).scalar_subquery()
_tails = select(func.count()).where(_tail_of_row).scalar_subquery()
SESSION = (
    select(
        table.c.id,
        repositories_table.c.name.label("repository"),
        table.c.subject,
        table.c.state,
        table.c.version,
        table.c.offset,
        table.c.algorithm,
        table.c.hash_state,
        table.c.handle,
        table.c.next_part,
        table.c.part_size,
        table.c.digest,
        table.c.location,
        func.coalesce(_tails_from, table.c.offset).label("tails_from"),
        _tails.label("tails"),
    )
    .join_from(table, repositories_table, table.c.repository_id == repositories_table.c.id)
    .where(
        _this,
        repositories_table.c.name == bindparam("repository"),
        table.c.subject == bindparam("subject"),
    )
)
"""In the order of the fields of `Session`."""
_TAILS = (
    select(upload_tails.c.offset, upload_tails.c.size, upload_tails.c.data, upload_tails.c.location)
    .where(_tail_of_this)
    .order_by(upload_tails.c.offset)
)
_DROP_TAILS = delete(upload_tails).where(_tail_of_this).returning(upload_tails.c.location)
_TAKE_NUMBER = (
    update(table)
    .where(*_this_open)
    .values(next_part=table.c.next_part + 1)
    .returning(table.c.next_part)
)
_ENTER_HANDLE = (
    update(table)
    .where(*_this_open, table.c.handle.is_(None))
    .values(handle=bindparam("new_handle"))
)
_HANDLE = select(table.c.handle).where(_this)
_ADVANCE = (
    update(table)
    .where(*_this_open, table.c.offset == bindparam("found_offset"))
    .values(
        offset=bindparam("new_offset"),
        hash_state=bindparam("new_hash_state"),
        expires_at=db_now() + bindparam("lifetime"),
    )
)
_STANDING = select(table.c.state, table.c.offset).where(_this)


def begin(
    tx: Connection,
    repository: str,
    upload_id: str,
    subject: str,
    algorithm: str,
    part_size: int | None,
    *,
    limit: int,
    terms: Terms,
) -> None:
    """Open a session.

    Raises `TooManyUploads` where `subject` has `limit` of them open, and `QuotaExceeded` where it
    would be the first of a repository that the namespace may not have.
    """
    if tx.scalar(_OPEN_OF_SUBJECT, {"subject": subject, "at_most": limit}) == limit:
        raise TooManyUploads(
            f"{limit} uploads are open already; finish or cancel some, or wait until they expire"
        )
    tx.execute(
        _BEGIN,
        {
            "id": upload_id,
            "repository_id": repositories.ensure(tx, repository, actor=subject).id,
            "subject": subject,
            "state": "open",
            "algorithm": algorithm,
            "part_size": part_size,
            "lifetime": terms.lifetime,
        },
    )


def load(tx: Connection, repository: str, upload_id: str, subject: str) -> Session:
    """The session, whatever its state.

    Raises `UploadUnknown`, also for another repository's or another subject's.
    """
    given = {"repository": repository, "upload_id": upload_id, "subject": subject}
    return as_session(tx.execute(SESSION, given).one_or_none(), upload_id)


def as_session(row: Iterable[Any] | None, upload_id: str) -> Session:
    """The row that `SESSION` found; raises `UploadUnknown` if there was none."""
    if row is None:
        raise unknown(upload_id)
    session = Session(*row)
    return replace(session, digest=Digest(session.digest)) if session.digest else session


def tails(tx: Connection, session: Session) -> list[Tail]:
    """The session's tails, in the blob's order.

    Raises `UploadConflict`, `UploadUnknown` where they are no longer those that the request found:
    together with its own bytes they would not be the blob that it hashed.
    """
    found = [Tail(*row) for row in tx.execute(_TAILS, {"upload_id": session.id})]
    if not found or (found[0].offset, found[-1].end) != (session.tails_from, session.offset):
        raise refusal(tx, session.id)
    return found


def take_number(tx: Connection, upload_id: str) -> int:
    """The number of the next part, given out once.  Raises `UploadConflict`, `UploadUnknown`."""
    following = tx.scalar(_TAKE_NUMBER, {"upload_id": upload_id})
    if following is None:
        raise refusal(tx, upload_id)
    return int(following) - 1


def enter_handle(tx: Connection, upload_id: str, handle: Handle) -> tuple[Handle, int]:
    """Name the upload by `handle` unless it has one; its handle, and the next part's number.

    Raises `UploadConflict`, `UploadUnknown`.
    """
    tx.execute(_ENTER_HANDLE, {"upload_id": upload_id, "new_handle": handle})
    number = take_number(tx, upload_id)
    return str(tx.scalar(_HANDLE, {"upload_id": upload_id})), number


def add_part(
    tx: Connection, session: Session, part: Part, hash_state: bytes | None, *, terms: Terms
) -> None:
    """Record a stored part that begins with the session's tails, which it replaces.

    Raises `UploadConflict` where other bytes came behind `session.offset` first, `UploadUnknown`.
    """
    _advance(tx, session, part.offset + part.size, hash_state, terms)
    tx.execute(
        insert(upload_parts),
        {
            "upload_id": session.id,
            "number": part.number,
            "offset": part.offset,
            "size": part.size,
            "token": part.token,
        },
    )
    if session.tails:
        drop_tails(tx, session.id, terms)


def add_part_and_go_on(
    tx: Connection, session: Session, part: Part, hash_state: bytes | None, *, terms: Terms
) -> int:
    """As `add_part`; the number of the part behind it."""
    add_part(tx, session, part, hash_state, terms=terms)
    return take_number(tx, session.id)


def add_tail(
    tx: Connection, session: Session, tail: Tail, hash_state: bytes | None, *, terms: Terms
) -> None:
    """Record bytes that are no part yet.

    Raises `UploadConflict` where other bytes came behind `session.offset` first, `UploadUnknown`.
    """
    _advance(tx, session, tail.end, hash_state, terms)
    tx.execute(
        insert(upload_tails),
        {
            "upload_id": session.id,
            "offset": tail.offset,
            "size": tail.size,
            "data": tail.data,
            "location": tail.location,
        },
    )


def held(tx: Connection, handles: Sequence[Handle]) -> set[Handle]:
    """Those of `handles` that a session names."""
    return set(tx.scalars(select(table.c.handle).where(table.c.handle.in_(handles))))


# For `upload_ends`


def drop_tails(tx: Connection, upload_id: str, terms: Terms) -> None:
    """Remove the session's tails; those in the driver become garbage."""
    for location in tx.scalars(_DROP_TAILS, {"upload_id": upload_id}).all():
        if location is not None:
            garbage.add(tx, location, terms.driver, delay=terms.garbage_delay)


def refusal(tx: Connection, upload_id: str) -> UploadConflict | UploadUnknown:
    """Why a step was not taken: where the upload stands now, or that it is over."""
    row = tx.execute(_STANDING, {"upload_id": upload_id}).one_or_none()
    if row is None or row.state not in ("open", "committing"):
        return unknown(upload_id)
    return UploadConflict(
        row.offset, f"another request went on with the upload, which now holds {row.offset} bytes"
    )


def unknown(upload_id: str) -> UploadUnknown:
    """What a client is told of a session that is not there for it."""
    return UploadUnknown(f"there is no upload {upload_id[:64]!r}, or it has ended; begin a new one")


def _advance(
    tx: Connection, session: Session, offset: int, hash_state: bytes | None, terms: Terms
) -> None:
    moved = tx.execute(
        _ADVANCE,
        {
            "upload_id": session.id,
            "found_offset": session.offset,
            "new_offset": offset,
            "new_hash_state": hash_state,
            "lifetime": terms.lifetime,
        },
    )
    if not moved.rowcount:
        raise refusal(tx, session.id)
