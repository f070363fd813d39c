"""What is known of tags: the manifest each names, how much it takes, how often it was pulled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from registry_storage.catalog import repositories
from registry_storage.catalog.protocols import in_chunks
from registry_storage.catalog.tables import (
    blobs,
    manifest_blobs,
    manifest_children,
    manifests,
    pulls,
    tags,
)
from registry_storage.digest import Digest
from registry_storage.values import TagFacts

_of_repository = tags.c.repository_id == bindparam("repository_id")
_TAGS = (
    select(
        tags.c.name,
        tags.c.digest,
        manifests.c.media_type,
        manifests.c.pushed_at,
        tags.c.moved_at,
        func.coalesce(pulls.c.pulls, 0).label("pulls"),
        pulls.c.last_pulled_at,
    )
    .join(
        manifests,
        (manifests.c.repository_id == tags.c.repository_id) & (manifests.c.digest == tags.c.digest),
    )
    .outerjoin(
        pulls, (pulls.c.repository_id == tags.c.repository_id) & (pulls.c.reference == tags.c.name)
    )
    .where(_of_repository)
)
_PAGE = (
    _TAGS.where(tags.c.name > bindparam("after")).order_by(tags.c.name).limit(bindparam("limit"))
)
_ONE = _TAGS.where(tags.c.name == bindparam("name"))

# All manifests below each of some manifests, itself included: an index may hold indexes.
_roots = select(manifests.c.digest.label("root"), manifests.c.digest.label("digest")).where(
    manifests.c.repository_id == bindparam("repository_id"),
    manifests.c.digest.in_(bindparam("digests", expanding=True)),
)
_tree = _roots.cte("tree", recursive=True)
_tree = _tree.union(
    select(_tree.c.root, manifest_children.c.child).where(
        manifest_children.c.repository_id == bindparam("repository_id"),
        manifest_children.c.parent == _tree.c.digest,
    )
)
_held = (
    select(_tree.c.root, manifest_blobs.c.blob)
    .where(
        manifest_blobs.c.repository_id == bindparam("repository_id"),
        manifest_blobs.c.manifest == _tree.c.digest,
    )
    .distinct()
    .subquery("held")
)
_SIZES: tuple[Select[Any], ...] = (
    select(_tree.c.root, func.sum(manifests.c.size))
    .join(manifests, manifests.c.digest == _tree.c.digest)
    .where(manifests.c.repository_id == bindparam("repository_id"))
    .group_by(_tree.c.root),
    select(_held.c.root, func.sum(blobs.c.size))
    .join(blobs, blobs.c.digest == _held.c.blob)
    .group_by(_held.c.root),
)


def page(tx: Connection, repository: str, after: str, limit: int) -> list[TagFacts]:
    """Tags above `after`, in byte order.  Raises `RepositoryUnknown`."""
    repository_id = repositories.find(tx, repository)
    if repository_id is None:
        raise repositories.unknown(repository)
    given = {"repository_id": repository_id, "after": after, "limit": limit}
    return _facts(tx, repository_id, tx.execute(_PAGE, given).all())


def one(tx: Connection, repository: str, name: str) -> TagFacts | None:
    """The tag, if the repository has it."""
    repository_id = repositories.find(tx, repository)
    if repository_id is None:
        return None
    given = {"repository_id": repository_id, "name": name}
    return next(iter(_facts(tx, repository_id, tx.execute(_ONE, given).all())), None)


def _facts(tx: Connection, repository_id: int, rows: Sequence[Any]) -> list[TagFacts]:
    sizes = _sizes(tx, repository_id, {row.digest for row in rows})
    return [
        TagFacts(
            name=row.name,
            digest=Digest(row.digest),
            media_type=row.media_type,
            size=sizes[row.digest],
            pushed_at=row.pushed_at,
            moved_at=row.moved_at,
            pulls=row.pulls,
            last_pulled_at=row.last_pulled_at,
        )
        for row in rows
    ]


def _sizes(tx: Connection, repository_id: int, digests: Iterable[str]) -> dict[str, int]:
    """Bytes of each manifest and of all below it, each counted once."""
    sizes: defaultdict[str, int] = defaultdict(int)
    for chunk in in_chunks(digests):
        for statement in _SIZES:
            given = {"repository_id": repository_id, "digests": chunk}
            for root, size in tx.execute(statement, given).all():
                sizes[root] += int(size)
    return sizes
