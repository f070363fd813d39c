"""Blobs: which repository may serve which bytes, and where they lie."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog import events, repositories
from registry_storage.catalog.protocols import BLOBS, REPOSITORY_BLOBS, fresh
from registry_storage.catalog.repositories import Place
from registry_storage.catalog.tables import blobs, manifest_blobs, repository_blobs
from registry_storage.catalog.tables import repositories as repository
from registry_storage.databases.types import db_now
from registry_storage.errors import BlobUnknown, ContentInUse


class BlobRow(NamedTuple):
    """A blob that a repository may serve."""

    digest: str
    size: int
    """In bytes."""
    location: str


FIND = (
    select(blobs.c.digest, blobs.c.size, blobs.c.location)
    .join(repository_blobs, repository_blobs.c.digest == blobs.c.digest)
    .join(repository, repository.c.id == repository_blobs.c.repository_id)
    .where(repository.c.name == bindparam("repository"))
    .where(repository_blobs.c.digest == bindparam("digest"))
)
FIND_KEPT = FIND.add_columns(REPOSITORY_BLOBS.is_kept)
_FIND_AND_KEEP = FIND.with_for_update(read=True, key_share=True, of=blobs)
_HOLD = (
    insert(repository_blobs)
    .values(
        repository_id=bindparam("repository_id"),
        digest=bindparam("digest"),
        leased_until=db_now() + bindparam("lease"),
        unreferenced_since=db_now(),
    )
    .on_conflict_do_nothing()
    .execution_options(preserve_rowcount=True)
)
_here = (
    repository_blobs.c.repository_id == bindparam("repository_id"),
    repository_blobs.c.digest == bindparam("digest"),
)
_LET_GO = sql_delete(repository_blobs).where(*_here)
_USER = (
    select(manifest_blobs.c.manifest)
    .where(manifest_blobs.c.repository_id == bindparam("repository_id"))
    .where(manifest_blobs.c.blob == bindparam("digest"))
    .limit(1)
)


def find(tx: Connection, repository: str, digest: str) -> BlobRow | None:
    """The blob, if the repository holds it."""
    return _find(tx, FIND, repository, digest)


def find_kept(
    tx: Connection, repository: str, digest: str, lease: int
) -> tuple[BlobRow, bool] | None:
    """As `find`, and whether a promise of `lease` milliseconds needs no renewal."""
    given = {"repository": repository, "digest": digest, "fresh": fresh(lease)}
    row = tx.execute(FIND_KEPT, given).first()
    return (BlobRow(*row[:-1]), row[-1]) if row else None


def link(
    tx: Connection,
    repository: str,
    digest: str,
    size: int,
    location: str,
    driver: str,
    *,
    lease: int,
    actor: str = "",
) -> BlobRow:
    """Let the repository hold the blob, whose bytes are durable at `location`.

    The row that comes back says where the blob lies: at another location if it was stored before,
    and then the one given is the caller's to give away.  Kept for `lease` milliseconds at least.
    Raises `QuotaExceeded`.
    """
    place = repositories.ensure(tx, repository, actor=actor)
    return link_at(tx, place, BlobRow(digest, size, location), driver, lease=lease, actor=actor)


def link_at(
    tx: Connection, place: Place, blob: BlobRow, driver: str, *, lease: int, actor: str
) -> BlobRow:
    """As `link`, in a repository that is kept already."""
    row = blob._replace(location=BLOBS.add_or_meet(tx, {**blob._asdict(), "driver": driver}))
    if _hold(tx, place, row.digest, lease):
        events.record(tx, events.BLOB_LINKED, place.name, actor, _described(row))
    return row


def promise(tx: Connection, repository: str, digest: str, *, lease: int) -> BlobRow | None:
    """The blob, if the repository holds it, kept for three quarters of `lease` at least."""
    repository_id = repositories.find(tx, repository)
    if repository_id is None:
        return None
    REPOSITORY_BLOBS.renew(tx, repository_id, digest, lease=lease)
    return find(tx, repository, digest)


def mount(
    tx: Connection, source: str, target: str, digest: str, *, lease: int, actor: str = ""
) -> BlobRow | None:
    """Let repository `target` hold the blob, if `source` does; kept for `lease` milliseconds.

    Raises `QuotaExceeded`.
    """
    if find(tx, source, digest) is None:
        return None
    place = repositories.ensure(tx, target, actor=actor)
    row = _find(tx, _FIND_AND_KEEP, source, digest)
    if row is None:  # deleted meanwhile
        return None
    if _hold(tx, place, digest, lease):
        details = {**_described(row), "source": source}
        events.record(tx, events.BLOB_MOUNTED, target, actor, details)
    return row


def delete(
    tx: Connection, repository: str, digest: str, *, garbage_delay: int, actor: str = ""
) -> None:
    """Take the blob from the repository; its bytes go with the last repository that holds it.

    Raises `BlobUnknown`, and `ContentInUse` while a manifest of the repository names it.
    """
    repository_id = repositories.find(tx, repository)
    if repository_id is None or not _lock_for_deletion(tx, repository_id, digest):
        raise BlobUnknown(f"repository {repository} holds no blob {digest}")
    here = {"repository_id": repository_id, "digest": digest}
    user = tx.scalar(_USER, here)
    if user is not None:
        raise ContentInUse(digest, user)
    tx.execute(_LET_GO, here)
    BLOBS.drop_with_last_holder(tx, digest, garbage_delay=garbage_delay)
    events.record(tx, events.BLOB_DELETED, repository, actor, {"digest": digest})


def _lock_for_deletion(tx: Connection, repository_id: int, digest: str) -> bool:
    """Whether the repository holds the blob; from here on nobody links, mounts or refers to it."""
    return BLOBS.lock_for_deletion(tx, digest) and bool(
        REPOSITORY_BLOBS.lock(tx, repository_id, [digest])
    )


def _find(tx: Connection, statement: Select[Any], repository: str, digest: str) -> BlobRow | None:
    row = tx.execute(statement, {"repository": repository, "digest": digest}).first()
    return BlobRow(*row) if row else None


def _hold(tx: Connection, place: Place, digest: str, lease: int) -> bool:
    """Whether the repository did not hold the blob before; if it did, the lease is renewed.

    The row of `blobs` is locked before, so that no deletion comes between the two statements.
    """
    here = {"repository_id": place.id, "digest": digest, "lease": lease}
    if tx.execute(_HOLD, here).rowcount:
        if place.quota is not None:
            place.quota.check_blob(tx, place.id, digest)
        return True
    REPOSITORY_BLOBS.renew(tx, place.id, digest, lease=lease)
    return False


def _described(row: BlobRow) -> dict[str, object]:
    return {"digest": row.digest, "size": row.size}
