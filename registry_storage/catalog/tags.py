"""Tags: names of a repository's manifests that may move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog import events, pull_counts, repositories
from registry_storage.catalog.protocols import MANIFESTS
from registry_storage.catalog.tables import tags
from registry_storage.databases.types import db_now
from registry_storage.errors import ManifestUnknown

_NAMES = (
    select(tags.c.name)
    .where(tags.c.repository_id == bindparam("repository_id"), tags.c.name > bindparam("after"))
    .order_by(tags.c.name)
    .limit(bindparam("limit"))
)
_this = (tags.c.repository_id == bindparam("repository_id"), tags.c.name == bindparam("name"))
_DIGEST = select(tags.c.digest).where(*_this)
_NAMED = select(tags.c.name, tags.c.digest).where(
    tags.c.repository_id == bindparam("repository_id"),
    tags.c.name.in_(bindparam("names", expanding=True)),
)
_DELETE = sql_delete(tags).where(*_this)
_DELETE_ALL_OF = sql_delete(tags).where(
    tags.c.repository_id == bindparam("repository_id"), tags.c.digest == bindparam("digest")
)
_new = insert(tags)
_SET = _new.on_conflict_do_update(
    index_elements=[tags.c.repository_id, tags.c.name],
    set_={"digest": _new.excluded.digest, "moved_at": db_now()},
)


def names(tx: Connection, repository: str, after: str, limit: int) -> list[str] | None:
    """Tags of a repository above `after`, in byte order; None if there is no such repository."""
    repository_id = repositories.find(tx, repository)
    if repository_id is None:
        return None
    given = {"repository_id": repository_id, "after": after, "limit": limit}
    return list(tx.scalars(_NAMES, given).all())


def named(tx: Connection, repository_id: int | None, names: Sequence[str]) -> dict[str, str]:
    """What those of the tags `names` that exist name."""
    rows = tx.execute(_NAMED, {"repository_id": repository_id, "names": names})
    return {row.name: row.digest for row in rows.all()}


def delete(tx: Connection, repository: str, tag: str, *, lease: int, actor: str = "") -> None:
    """Untag; the manifest stays, for `lease` milliseconds at least if nothing else names it.

    Raises `ManifestUnknown`.
    """
    repository_id = repositories.lock(tx, repository)
    this = {"repository_id": repository_id, "name": tag}
    digest = tx.scalar(_DIGEST, this)
    if repository_id is None or digest is None:
        raise ManifestUnknown(f"repository {repository} has no tag {tag}")
    MANIFESTS.lock(tx, repository_id, [digest])
    tx.execute(_DELETE, this)
    MANIFESTS.settle(tx, repository_id, [digest], lease=lease)
    pull_counts.forget(tx, repository_id, [tag])
    events.record(tx, events.TAG_DELETED, repository, actor, {"tag": tag, "digest": digest})


def set_all(tx: Connection, repository_id: int, digest: str, names: Iterable[str]) -> None:
    """Let tags name a manifest; the repository, and the manifests they named, are locked."""
    this = {"repository_id": repository_id, "digest": digest}
    rows = [{**this, "name": name} for name in names]
    if rows:
        tx.execute(_SET, rows)


def delete_all_of(tx: Connection, repository_id: int, digest: str) -> None:
    """Delete the tags of a manifest; the repository is locked."""
    tx.execute(_DELETE_ALL_OF, {"repository_id": repository_id, "digest": digest})
