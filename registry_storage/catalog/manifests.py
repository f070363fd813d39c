"""Manifests: what a repository lists, and what each of them names.

All changes of one repository's manifests and tags follow each other (`repositories.lock`), so what
is read about them under that lock holds until the end of the transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog import events, garbage, pull_counts, references, repositories, tags
from registry_storage.catalog.protocols import (
    MANIFESTS,
    PAYLOADS,
    REPOSITORY_BLOBS,
    fresh,
    lock_sized_blobs,
    sized_blobs,
)
from registry_storage.catalog.references import References, Surroundings
from registry_storage.catalog.tables import manifest_payloads, manifests
from registry_storage.catalog.tables import repositories as repository
from registry_storage.catalog.tables import tags as tag
from registry_storage.databases.types import db_now
from registry_storage.errors import (
    ContentInUse,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    TagExists,
)


class ManifestRow(NamedTuple):
    """A manifest that a repository lists."""

    digest: str
    media_type: str
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class ManifestRecord:
    """A manifest to be listed."""

    digest: str
    media_type: str
    payload: bytes
    driver: str
    location: str = ""
    """Where its bytes are durable; "" while they are not."""
    blobs: tuple[tuple[str, int], ...] = ()
    """Digests and sizes, as the manifest has them, of what the repository must hold."""
    optional_blobs: tuple[str, ...] = ()
    """Those it may lack: layers that are kept elsewhere."""
    children: tuple[str, ...] = ()
    """Manifests that the repository must hold."""
    optional_children: tuple[str, ...] = ()
    """Those it may lack: the index is sparse."""
    subject: str | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] | None = None


_FIND = (
    select(manifests.c.digest, manifests.c.media_type, manifests.c.size)
    .join(repository, repository.c.id == manifests.c.repository_id)
    .where(repository.c.name == bindparam("repository"))
)
FIND_BY_DIGEST = _FIND.where(manifests.c.digest == bindparam("reference"))
FIND_BY_TAG = _FIND.join(
    tag, (tag.c.repository_id == manifests.c.repository_id) & (tag.c.digest == manifests.c.digest)
).where(tag.c.name == bindparam("reference"))
FIND_KEPT_BY_DIGEST = FIND_BY_DIGEST.add_columns(MANIFESTS.is_kept)
FIND_KEPT_BY_TAG = FIND_BY_TAG.add_columns(MANIFESTS.is_kept)
PAYLOAD = select(manifest_payloads.c.payload).where(
    manifest_payloads.c.digest == bindparam("digest")
)
_PAYLOAD_LOCATION = select(manifest_payloads.c.location).where(
    manifest_payloads.c.digest == bindparam("digest")
)
_new = insert(manifests).values(
    repository_id=bindparam("repository_id"),
    digest=bindparam("digest"),
    media_type=bindparam("media_type"),
    size=bindparam("size"),
    subject=bindparam("subject"),
    artifact_type=bindparam("artifact_type"),
    annotations=bindparam("annotations", type_=manifests.c.annotations.type),
    leased_until=db_now() + bindparam("lease"),
    unreferenced_since=db_now(),
)
_LIST = _new.on_conflict_do_update(
    index_elements=[manifests.c.repository_id, manifests.c.digest],
    set_={
        name: _new.excluded[name]
        for name in ("media_type", "subject", "artifact_type", "annotations", "leased_until")
    },
)
_UNLIST = sql_delete(manifests).where(
    manifests.c.repository_id == bindparam("repository_id"),
    manifests.c.digest == bindparam("digest"),
)


def find(tx: Connection, repository: str, reference: str) -> ManifestRow | None:
    """The manifest of a tag or a digest, if the repository lists it."""
    statement = FIND_BY_DIGEST if ":" in reference else FIND_BY_TAG
    row = tx.execute(statement, {"repository": repository, "reference": reference}).first()
    return ManifestRow(*row) if row else None


def find_kept(
    tx: Connection, repository: str, reference: str, lease: int
) -> tuple[ManifestRow, bool] | None:
    """As `find`, and whether a promise of `lease` milliseconds needs no renewal."""
    statement = FIND_KEPT_BY_DIGEST if ":" in reference else FIND_KEPT_BY_TAG
    given = {"repository": repository, "reference": reference, "fresh": fresh(lease)}
    row = tx.execute(statement, given).first()
    return (ManifestRow(*row[:-1]), row[-1]) if row else None


def payload(tx: Connection, digest: str) -> bytes | None:
    """The bytes of a manifest that some repository lists."""
    return tx.scalar(PAYLOAD, {"digest": digest})


def promise(tx: Connection, repository: str, reference: str, *, lease: int) -> ManifestRow | None:
    """The manifest of a tag or a digest, kept for three quarters of `lease` at least."""
    repository_id = repositories.find(tx, repository)
    found = find(tx, repository, reference)
    if repository_id is None or found is None:
        return None
    MANIFESTS.renew(tx, repository_id, found.digest, lease=lease)
    return find(tx, repository, found.digest)


def prepare(
    tx: Connection,
    repository: str,
    record: ManifestRecord,
    names: Sequence[str],
    *,
    may_move_tags: bool,
) -> str | None:
    """Raise what `put` would raise now; return where the bytes lie, if they are stored.

    It spares the store bytes that would only be given up again.  Nothing is locked or promised:
    `put` decides.
    """
    repository_id = repositories.find(tx, repository)
    if not may_move_tags:
        _moved_tags(tags.named(tx, repository_id, names), record.digest, names, may_move_tags)
    sizes = sized_blobs(tx, repository_id, (blob for blob, _ in record.blobs))
    _check_blobs_and_children(record, sizes, MANIFESTS.held(tx, repository_id, record.children))
    return tx.scalar(_PAYLOAD_LOCATION, {"digest": record.digest})


def put(
    tx: Connection,
    repository: str,
    record: ManifestRecord,
    names: Sequence[str],
    *,
    lease: int,
    may_move_tags: bool,
    garbage_delay: int,
    actor: str = "",
) -> str:
    """List a manifest and let the tags `names` name it, all or nothing; return where its bytes lie.

    They lie elsewhere than at the record's location if they were stored before; the record's is
    garbage then, `garbage_delay` milliseconds from now.  A manifest that is listed already gets the
    tags, a fresh lease of `lease` milliseconds, and what this record says of it.

    Raises `ManifestBlobUnknown` with all that is missing, `ManifestInvalid` where a blob has
    another size, `TagExists` where a tag names another manifest and `may_move_tags` is false,
    `QuotaExceeded`.
    """
    place = repositories.lock_or_make(tx, repository, actor=actor)
    repository_id = place.id
    around = references.around_push(tx, repository_id, record.digest, list(names))
    moved = _moved_tags(around.tags, record.digest, names, may_move_tags)
    location = _store_payload(tx, record, garbage_delay)
    refers = _lock_what_changes(tx, repository_id, record, around)
    _list(tx, repository_id, record, lease)
    _refer(tx, repository_id, record.digest, around, refers)
    tags.set_all(tx, repository_id, record.digest, moved)
    _settle(tx, repository_id, record.digest, around, refers, lease)
    repositories.note_push(tx, repository_id)
    if place.quota is not None and not around.exists:
        place.quota.check_manifest(tx, repository_id, record.digest)
    events.record_all(tx, repository, actor, _pushed(record, around, names, moved))
    return location


def _moved_tags(
    tagged: Mapping[str, str], digest: str, names: Sequence[str], may_move_tags: bool
) -> list[str]:
    moved = [name for name in names if tagged.get(name) != digest]
    taken = next((name for name in moved if name in tagged), None)
    if taken is not None and not may_move_tags:
        raise TagExists(f"tag {taken} names {tagged[taken]}, and you may not move it")
    return moved


def _store_payload(tx: Connection, record: ManifestRecord, garbage_delay: int) -> str:
    own = {name: getattr(record, name) for name in ("digest", "payload", "location", "driver")}
    location = PAYLOADS.add_or_meet(tx, own)
    if location != record.location:
        garbage.add(tx, record.location, record.driver, delay=garbage_delay)
    return location


def _lock_what_changes(
    tx: Connection, repository_id: int, record: ManifestRecord, around: Surroundings
) -> References:
    """Lock whatever gains or loses a reference; return what the manifest refers to."""
    sizes = lock_sized_blobs(
        tx,
        repository_id,
        {*(blob for blob, _ in record.blobs), *record.optional_blobs, *around.names.blobs},
    )
    children = {*record.children, *record.optional_children}
    listed = MANIFESTS.lock(tx, repository_id, children | _manifests_in(around))
    _check_blobs_and_children(record, sizes, listed)
    blobs = {*(blob for blob, _ in record.blobs), *record.optional_blobs}
    return References(
        blobs=frozenset(blobs & sizes.keys()),
        children=frozenset(children & listed),
        absent_blobs=frozenset(blobs - sizes.keys()),
        absent_children=frozenset(children - listed),
    )


def _check_blobs_and_children(
    record: ManifestRecord, sizes: Mapping[str, int], listed: Collection[str]
) -> None:
    missing = [blob for blob, _ in record.blobs if blob not in sizes]
    missing += [child for child in record.children if child not in listed]
    if missing:
        raise ManifestBlobUnknown(list(dict.fromkeys(missing)))
    for blob, size in record.blobs:
        if size != sizes[blob]:
            raise ManifestInvalid(
                f"{blob} has {sizes[blob]} bytes, the manifest says {size}: correct its size"
            )


def _list(tx: Connection, repository_id: int, record: ManifestRecord, lease: int) -> None:
    shown = ("digest", "media_type", "subject", "artifact_type", "annotations")
    row: dict[str, Any] = {name: getattr(record, name) for name in shown}
    given = {"repository_id": repository_id, "size": len(record.payload), "lease": lease}
    tx.execute(_LIST, row | given)


def _refer(
    tx: Connection, repository_id: int, digest: str, around: Surroundings, refers: References
) -> None:
    if refers != around.names:
        if around.exists:
            references.erase(tx, repository_id, digest)
        references.write(tx, repository_id, digest, refers)
    references.child_has_come(tx, repository_id, around.sparse_parents, digest)


def _settle(
    tx: Connection,
    repository_id: int,
    digest: str,
    around: Surroundings,
    refers: References,
    lease: int,
) -> None:
    """Stamp what lost its last reference, unstamp what got one; all of it is locked."""
    blobs = refers.blobs | around.names.blobs
    REPOSITORY_BLOBS.settle(tx, repository_id, blobs, lease=lease)
    others = refers.children | _manifests_in(around)
    MANIFESTS.settle(tx, repository_id, {digest, *others}, lease=lease)


def _manifests_in(around: Surroundings) -> set[str]:
    return {*around.names.children, *around.referrers, *around.tags.values()}


def _pushed(
    record: ManifestRecord, around: Surroundings, names: Sequence[str], moved: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    pushed = {
        "digest": record.digest,
        "media_type": record.media_type,
        "size": len(record.payload),
        "subject": record.subject,
        "tags": list(names),
    }
    return [
        (events.MANIFEST_PUSHED, pushed),
        *(
            (
                events.TAG_SET,
                {"tag": tag, "digest": record.digest, "replaced": around.tags.get(tag)},
            )
            for tag in moved
        ),
    ]


def delete(
    tx: Connection,
    repository: str,
    digest: str,
    *,
    lease: int,
    garbage_delay: int,
    actor: str = "",
) -> None:
    """Unlist a manifest, with the tags that name it.

    What it was the last to name stays for `lease` milliseconds at least; its own bytes are garbage
    `garbage_delay` milliseconds from now, if no other repository lists it.  Manifests whose subject
    it is stay, and stay listed under it.

    Raises `ManifestUnknown`, and `ContentInUse` while an index of the repository names it.
    """
    repository_id = repositories.lock(tx, repository)
    if repository_id is None or not PAYLOADS.lock_for_deletion(tx, digest):
        raise _unknown(repository, digest)
    around = references.around_deletion(tx, repository_id, digest)
    if not around.exists:
        raise _unknown(repository, digest)
    if around.parents:
        raise ContentInUse(digest, min(around.parents))
    _lock_for_deletion(tx, repository_id, digest, around)
    tags.delete_all_of(tx, repository_id, digest)
    references.erase(tx, repository_id, digest)
    tx.execute(_UNLIST, {"repository_id": repository_id, "digest": digest})
    _settle(tx, repository_id, digest, around, References(), lease)
    PAYLOADS.drop_with_last_holder(tx, digest, garbage_delay=garbage_delay)
    repositories.unlist_if_empty(tx, repository_id)
    pull_counts.forget(tx, repository_id, [digest, *around.tags])
    events.record_all(tx, repository, actor, _deleted(digest, around))


def _lock_for_deletion(
    tx: Connection, repository_id: int, digest: str, around: Surroundings
) -> None:
    REPOSITORY_BLOBS.lock(tx, repository_id, around.names.blobs)
    MANIFESTS.lock(tx, repository_id, {digest, *_manifests_in(around)})


def _deleted(digest: str, around: Surroundings) -> list[tuple[str, dict[str, Any]]]:
    untagged = [(events.TAG_DELETED, {"tag": tag, "digest": digest}) for tag in sorted(around.tags)]
    return [*untagged, (events.MANIFEST_DELETED, {"digest": digest})]


def _unknown(repository: str, digest: str) -> ManifestUnknown:
    return ManifestUnknown(f"repository {repository} holds no manifest {digest}")
