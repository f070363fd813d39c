"""How upload sessions end: published, aborted or expired (`uploads` draws the states)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Update, bindparam, delete, select, true, update

from registry_storage.catalog import blobs, garbage, repositories
from registry_storage.catalog.blobs import BlobRow
from registry_storage.catalog.repositories import Place
from registry_storage.catalog.tables import upload_parts, upload_tails
from registry_storage.catalog.tables import uploads as table
from registry_storage.catalog.uploads import (
    Session,
    Terms,
    add_part,
    drop_tails,
    refusal,
    unknown,
)
from registry_storage.databases.types import db_now
from registry_storage.digest import Digest
from registry_storage.drivers.api import Handle, Part

CHECKED: Final = b"checked"
"""In the place of the hash state from `committing` on: the digest is known to be the bytes'."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A session in `committing`: all that is needed to publish it, by whoever comes."""

    id: str
    repository: str
    version: int
    digest: Digest
    size: int
    checked: bool
    """Whether the digest is known to be the bytes'."""
    location: str | None
    """Where the blob lies without a mark, once that is known."""
    handle: Handle | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A session in `aborting`, whose parts the driver has yet to forget."""

    id: str
    handle: Handle | None


_this = table.c.id == bindparam("upload_id")
_alive = table.c.state.in_(("open", "committing"))
_is_late = table.c.expires_at < db_now()
_found_version = table.c.version == bindparam("found_version")


def _step(before: str, *guards: Any, **values: Any) -> Update:
    """Change the state, if the row is as the caller found it."""
    return (
        update(table)
        .where(_this, table.c.state == before, _found_version, *guards)
        .values(version=table.c.version + 1, **values)
    )


_done = {
    "state": "done",
    "hash_state": None,
    "expires_at": db_now() + bindparam("answered"),
    "location": bindparam("new_location"),
}
_CLAIM = _step(
    "open",
    table.c.offset == bindparam("found_offset"),
    state="committing",
    digest=bindparam("new_digest"),
    size=bindparam("found_offset"),
    hash_state=bindparam("new_hash_state"),
    location=bindparam("new_location"),
    expires_at=db_now() + bindparam("lifetime"),
)
# A repository that took the old name of a renamed one has no part in the other's sessions.
_in_place = table.c.repository_id == bindparam("place")
_COMPLETE = _step("committing", _in_place, **_done)
_COMPLETE_WHOLE = _step(
    "open",
    _in_place,
    table.c.offset == bindparam("found_offset"),
    digest=bindparam("new_digest"),
    size=bindparam("new_size"),
    **_done,
)
_CLAIMED = select(table).where(_this, table.c.state == "committing")
_PARTS = (
    select(upload_parts.c.number, upload_parts.c.offset, upload_parts.c.size, upload_parts.c.token)
    .where(upload_parts.c.upload_id == bindparam("upload_id"))
    .order_by(upload_parts.c.offset)
)
_FORGET_PARTS = delete(upload_parts).where(upload_parts.c.upload_id == bindparam("upload_id"))
_TAKE_TAIL = (
    delete(upload_tails)
    .where(upload_tails.c.upload_id == bindparam("upload_id"))
    .returning(upload_tails.c.location)
)
_REMEMBER = (
    update(table)
    .where(_this, table.c.state == "committing", _found_version)
    .values(location=bindparam("new_location"))
)
_LOCATION = update(table).where(_this).values(location=bindparam("new_location"))
_LOCK = select(table.c.id).where(_this).with_for_update()
_LOCK_ALIVE = select(table.c.handle, table.c.location).where(_this, _alive).with_for_update()
_WITH_PARTS: Final = ("open", "committing", "aborting")
_LOCK_ALL_OF = (
    select(table.c.id, table.c.handle, table.c.state)
    .where(table.c.repository_id == bindparam("repository_id"))
    .order_by(table.c.id)
    .with_for_update()
)
_ABORT = (
    update(table)
    .where(_this)
    .values(state="aborting", version=table.c.version + 1, location=None, expires_at=db_now() - 1)
)
_FORGET = delete(table).where(_this, table.c.state.in_(("aborting", "done")))
_ANSWERED = select(table.c.id).where(_is_late, table.c.state == "done").limit(bindparam("at_most"))
_STALE = select(table.c.id).where(_is_late, _alive).limit(bindparam("at_most"))
_ABORTING = (
    select(table.c.id, table.c.handle)
    .where(_is_late, table.c.state == "aborting")
    .limit(bindparam("at_most"))
)


def claim(
    tx: Connection,
    session: Session,
    digest: Digest,
    *,
    checked: bool,
    last_part: Part | None,
    terms: Terms,
) -> Claim:
    """open -> committing, with `last_part` recorded on the way.

    A session that is one tail in the driver and nothing else is published where the tail lies.
    Raises `UploadConflict`, `UploadUnknown`.
    """
    offset = session.offset
    if last_part is not None:
        add_part(tx, session, last_part, None, terms=terms)
        offset = last_part.offset + last_part.size
    values = {
        "found_offset": offset,
        "new_digest": digest,
        "new_hash_state": CHECKED if checked else None,
        "new_location": tx.scalar(_TAKE_TAIL, {"upload_id": session.id}),
        "lifetime": terms.lifetime,
    }
    _take(tx, _CLAIM, session.id, session.version, values)
    return load_claim(tx, session)


def load_claim(tx: Connection, session: Session) -> Claim:
    """What this or another request has claimed.  Raises `UploadUnknown` if it is over."""
    given = {"upload_id": session.id}
    row = tx.execute(_CLAIMED, given).one_or_none()
    if row is None:
        raise unknown(session.id)
    return Claim(
        id=session.id,
        repository=session.repository,
        version=row.version,
        digest=Digest(row.digest),
        size=row.size,
        checked=row.hash_state == CHECKED,
        location=row.location,
        handle=row.handle,
        parts=tuple(Part(*part) for part in tx.execute(_PARTS, given)),
    )


def remember_location(tx: Connection, claimed: Claim, location: str) -> None:
    """Note where the claimed blob lies, published without a mark."""
    tx.execute(
        _REMEMBER,
        {"upload_id": claimed.id, "found_version": claimed.version, "new_location": location},
    )


def complete(tx: Connection, claimed: Claim, location: str, *, actor: str, terms: Terms) -> BlobRow:
    """committing -> done, and link the blob; where it lies.

    Raises `UploadUnknown` where another request was quicker (it gave nothing away: both hold the
    same location), the session was aborted or its repository renamed, and `QuotaExceeded`.
    """
    blob = BlobRow(claimed.digest, claimed.size, location)
    place = _place(tx, claimed.id, claimed.repository)
    values = {**_now_done(blob, terms), "place": place.id}
    _take(tx, _COMPLETE, claimed.id, claimed.version, values)
    tx.execute(_FORGET_PARTS, {"upload_id": claimed.id})
    return _link(tx, claimed.id, place, blob, actor, terms)


def complete_whole(
    tx: Connection, session: Session, blob: BlobRow, *, actor: str, terms: Terms
) -> BlobRow:
    """open -> done for a blob that was put whole, tails and all, and link it; where it lies.

    Raises `UploadConflict`, `UploadUnknown`.
    """
    place = _place(tx, session.id, session.repository)
    values = {
        **_now_done(blob, terms),
        "place": place.id,
        "found_offset": session.offset,
        "new_digest": blob.digest,
        "new_size": blob.size,
    }
    _take(tx, _COMPLETE_WHOLE, session.id, session.version, values)
    if session.tails:
        drop_tails(tx, session.id, terms)
    return _link(tx, session.id, place, blob, actor, terms)


def link_whole(
    tx: Connection, repository: str, blob: BlobRow, *, actor: str, terms: Terms
) -> BlobRow:
    """Link a blob that was put whole, without a session; where it lies."""
    place = repositories.ensure(tx, repository, actor=actor)
    return _link_at(tx, place, blob, actor, terms)


def repeat(tx: Connection, session: Session, *, terms: Terms) -> BlobRow:
    """The blob of a session that is done, kept for another lease.

    Raises `UploadUnknown` where it has been deleted meanwhile.
    """
    found = blobs.promise(tx, session.repository, str(session.digest), lease=terms.lease)
    if found is None:
        raise unknown(session.id)
    return found


def abandon_all_of(tx: Connection, repository_id: int, *, terms: Terms) -> list[Abandoned]:
    """Remove all sessions of a repository, which is locked; what the driver has yet to forget."""
    sessions = tx.execute(_LOCK_ALL_OF, {"repository_id": repository_id}).all()
    for session in sessions:
        _abort(tx, session.id, terms, true(), {})
        forget(tx, session.id)
    return [Abandoned(row.id, row.handle) for row in sessions if row.state in _WITH_PARTS]


def abort(tx: Connection, upload_id: str, version: int, *, terms: Terms) -> Abandoned | None:
    """open | committing -> aborting; what the driver must forget before `forget`, if anything.

    Raises `UploadUnknown` where the session is over, `UploadConflict` where it has gone on.
    """
    abandoned = _abort(tx, upload_id, terms, _found_version, {"found_version": version})
    if abandoned is None:
        raise refusal(tx, upload_id)
    if abandoned.handle is not None:
        return abandoned
    forget(tx, upload_id)
    return None


def expire(tx: Connection, limit: int, *, terms: Terms) -> list[Abandoned]:
    """Abort what nobody went on with; what is to be forgotten, earlier failures included.

    Sessions that have answered long enough just go.  At most `limit` of each at a time.
    """
    at_most = {"at_most": limit}
    for upload_id in tx.scalars(_ANSWERED, at_most).all():
        forget(tx, upload_id)
    for upload_id in tx.scalars(_STALE, at_most).all():
        _abort(tx, upload_id, terms, _is_late, {})
    return [Abandoned(*row) for row in tx.execute(_ABORTING, at_most)]


def forget(tx: Connection, upload_id: str) -> None:
    """Remove a session that is over, and what hangs on it."""
    tx.execute(_FORGET_PARTS, {"upload_id": upload_id})
    tx.execute(_FORGET, {"upload_id": upload_id})


def discard(tx: Connection, upload_id: str | None, location: str, *, terms: Terms) -> None:
    """Give away a location that no row names, under the lock of the session it was made for."""
    if upload_id is not None:
        tx.execute(_LOCK, {"upload_id": upload_id})
    garbage.add(tx, location, terms.driver, delay=terms.garbage_delay)


def _take(
    tx: Connection, step: Update, upload_id: str, version: int, values: Mapping[str, Any]
) -> None:
    given = {"upload_id": upload_id, "found_version": version, **values}
    if not tx.execute(step, given).rowcount:
        raise refusal(tx, upload_id)


def _now_done(blob: BlobRow, terms: Terms) -> dict[str, Any]:
    return {"answered": terms.answered, "new_location": blob.location}


def _place(tx: Connection, upload_id: str, repository: str) -> Place:
    """The session's repository, which keeps its name until the end of the transaction."""
    place = repositories.keep(tx, repository)
    if place is None:
        raise unknown(upload_id)
    return place


def _link(
    tx: Connection, upload_id: str, place: Place, blob: BlobRow, actor: str, terms: Terms
) -> BlobRow:
    linked = _link_at(tx, place, blob, actor, terms)
    if linked.location != blob.location:
        tx.execute(_LOCATION, {"upload_id": upload_id, "new_location": linked.location})
    return linked


def _link_at(tx: Connection, place: Place, blob: BlobRow, actor: str, terms: Terms) -> BlobRow:
    linked = blobs.link_at(tx, place, blob, terms.driver, lease=terms.lease, actor=actor)
    if linked.location != blob.location:
        garbage.add(tx, blob.location, terms.driver, delay=terms.garbage_delay)
    return linked


def _abort(
    tx: Connection, upload_id: str, terms: Terms, guard: Any, given: Mapping[str, Any]
) -> Abandoned | None:
    """Abort the session if it is alive and the guard holds."""
    row = tx.execute(_LOCK_ALIVE.where(guard), {"upload_id": upload_id, **given}).one_or_none()
    if row is None:
        return None
    tx.execute(_ABORT, {"upload_id": upload_id})
    drop_tails(tx, upload_id, terms)
    if row.location is not None:
        garbage.add(tx, row.location, terms.driver, delay=terms.garbage_delay)
    return Abandoned(upload_id, row.handle)
