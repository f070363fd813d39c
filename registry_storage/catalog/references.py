"""References: what a manifest names, and what around it names it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
    union_all,
)

from registry_storage.catalog.tables import (
    manifest_blobs,
    manifest_children,
    manifests,
    reference_digests,
    tags,
)


@dataclass(frozen=True, slots=True)
class References:
    """The digests that a manifest names."""

    blobs: frozenset[str] = frozenset()
    children: frozenset[str] = frozenset()
    absent_blobs: frozenset[str] = frozenset()
    """Blobs that the repository does not hold: kept elsewhere, or not asked for."""
    absent_children: frozenset[str] = frozenset()
    """Children that the repository does not hold: the index is sparse."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a repository knows around one digest, as long as the repository is locked."""

    exists: bool
    """Whether it holds a manifest of that digest."""
    tags: dict[str, str]
    """The tags that were asked for, as far as they exist, and the digests they name."""
    names: References
    """What the manifest names."""
    parents: frozenset[str]
    """Indexes that name it as their child."""
    sparse_parents: frozenset[str]
    """Indexes that have named it as their child since before it was here."""
    referrers: frozenset[str]
    """Manifests whose subject it is."""


def _found(
    kind: str, digest: Column[str], given: Column[str], *more: ColumnElement[bool]
) -> Select[Any, Any, Any]:
    repository_id = given.table.c.repository_id == bindparam("repository_id")
    label: ColumnElement[str] = literal_column(f"'{kind}'")
    return select(label, literal_column("''"), digest).where(
        repository_id, given == bindparam("digest"), *more
    )


def _around(these_tags: ColumnElement[bool]) -> CompoundSelect[Any, Any, Any]:
    blob, child, by_value = manifest_blobs.c, manifest_children.c, reference_digests.c
    return union_all(
        _found("exists", manifests.c.digest, manifests.c.digest),
        _found("referrers", manifests.c.digest, manifests.c.subject),
        _found("parents", child.parent, child.child),
        _found("sparse_parents", by_value.manifest, by_value.digest, by_value.role == "child"),
        _found("blobs", blob.blob, blob.manifest),
        _found("children", child.child, child.parent),
        _found("absent_blobs", by_value.digest, by_value.manifest, by_value.role == "blob"),
        _found("absent_children", by_value.digest, by_value.manifest, by_value.role == "child"),
        select(literal_column("'tags'"), tags.c.name, tags.c.digest).where(
            tags.c.repository_id == bindparam("repository_id"), these_tags
        ),
    )


_AROUND_PUSH = _around(tags.c.name.in_(bindparam("tags", expanding=True)))
_AROUND_DELETION = _around(tags.c.digest == bindparam("digest"))


def around_push(tx: Connection, repository_id: int, digest: str, tags: list[str]) -> Surroundings:
    """The surroundings of a manifest that `tags` are about to name."""
    given = {"repository_id": repository_id, "digest": digest, "tags": tags}
    return _surroundings(tx, _AROUND_PUSH, given)


def around_deletion(tx: Connection, repository_id: int, digest: str) -> Surroundings:
    """The surroundings of a manifest, with all tags that name it."""
    return _surroundings(tx, _AROUND_DELETION, {"repository_id": repository_id, "digest": digest})


def _surroundings(
    tx: Connection, statement: CompoundSelect[Any, Any, Any], given: dict[str, Any]
) -> Surroundings:
    found: defaultdict[str, list[str]] = defaultdict(list)
    tagged: dict[str, str] = {}
    for kind, name, digest in tx.execute(statement, given).all():
        if kind == "tags":
            tagged[name] = digest
        else:
            found[kind].append(digest)
    digests = {kind: frozenset(found[kind]) for kind in References.__dataclass_fields__}
    return Surroundings(
        exists=bool(found["exists"]),
        tags=tagged,
        names=References(**digests),
        parents=frozenset(found["parents"]),
        sparse_parents=frozenset(found["sparse_parents"]),
        referrers=frozenset(found["referrers"]),
    )


def write(tx: Connection, repository_id: int, manifest: str, names: References) -> None:
    """Record what the manifest names; it, and what is held, must be locked or new."""
    this = {"repository_id": repository_id}
    for statement, rows in (
        (_ADD_BLOB, [{"manifest": manifest, "blob": blob} for blob in names.blobs]),
        (_ADD_CHILD, [{"parent": manifest, "child": child} for child in names.children]),
        (_ADD_ABSENT, _absent(manifest, names)),
    ):
        if rows:
            tx.execute(statement, [this | row for row in rows])


def erase(tx: Connection, repository_id: int, manifest: str) -> None:
    """Forget what the manifest names."""
    for statement in _ERASE:
        tx.execute(statement, {"repository_id": repository_id, "manifest": manifest})


def child_has_come(tx: Connection, repository_id: int, parents: frozenset[str], child: str) -> None:
    """Let sparse indexes, `parents`, hold the child that they named before it was here."""
    if not parents:
        return
    rows = [{"repository_id": repository_id, "parent": p, "child": child} for p in parents]
    tx.execute(_ADD_CHILD, rows)
    tx.execute(_NO_LONGER_ABSENT, {"repository_id": repository_id, "digest": child})


def _absent(manifest: str, names: References) -> list[dict[str, Any]]:
    absent = [("blob", digest) for digest in names.absent_blobs]
    absent += [("child", digest) for digest in names.absent_children]
    return [{"manifest": manifest, "role": role, "digest": digest} for role, digest in absent]


_ADD_BLOB = insert(manifest_blobs)
_ADD_CHILD = insert(manifest_children)
_ADD_ABSENT = insert(reference_digests)
_ERASE = tuple(
    delete(table).where(
        table.c.repository_id == bindparam("repository_id"), named_by == bindparam("manifest")
    )
    for table, named_by in (
        (manifest_blobs, manifest_blobs.c.manifest),
        (manifest_children, manifest_children.c.parent),
        (reference_digests, reference_digests.c.manifest),
    )
)
_NO_LONGER_ABSENT = delete(reference_digests).where(
    reference_digests.c.repository_id == bindparam("repository_id"),
    reference_digests.c.digest == bindparam("digest"),
    reference_digests.c.role == "child",
)
