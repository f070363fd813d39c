"""Repositories: a name and its number.  A row is made by the first write to it, and stays."""

from __future__ import annotations

from sqlalchemy import Connection, Select, bindparam, exists, select
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog.tables import manifests, repositories, repository_blobs

_FIND = select(repositories.c.id).where(repositories.c.name == bindparam("name"))
_LOCK = _FIND.with_for_update(key_share=True)
_ADD = insert(repositories).values(name=bindparam("name")).on_conflict_do_nothing().inline()
_NAMES = (
    select(repositories.c.name)
    .where(repositories.c.name > bindparam("after"))
    .where(exists().where(manifests.c.repository_id == repositories.c.id))
    .order_by(repositories.c.name)
    .limit(bindparam("limit"))
)
_HOLDERS = (
    select(repositories.c.name)
    .join(repository_blobs, repository_blobs.c.repository_id == repositories.c.id)
    .where(repository_blobs.c.digest == bindparam("digest"))
    .order_by(repository_blobs.c.repository_id)
    .limit(bindparam("limit"))
)


def find(tx: Connection, name: str) -> int | None:
    """The number of a repository, None if there is none of that name."""
    return tx.scalar(_FIND, {"name": name})


def ensure(tx: Connection, name: str) -> int:
    """The number of a repository, made if there is none of that name."""
    return _ensure(tx, name, _FIND)


def lock(tx: Connection, name: str) -> int | None:
    """As `find`, and the only one until the end of the transaction to change what it lists.

    Whoever changes manifests or tags of a repository takes this lock first: a tag that does not
    exist yet has no row to lock, so two pushes of a new tag would each think that it replaces
    nothing.  Links and promises of blobs go on meanwhile.
    """
    return tx.scalar(_LOCK, {"name": name})


def lock_or_make(tx: Connection, name: str) -> int:
    """As `lock`; makes the repository if there is none of that name."""
    return _ensure(tx, name, _LOCK)


def names(tx: Connection, after: str, limit: int) -> list[str]:
    """Names of repositories that hold a manifest, above `after`, in byte order."""
    return list(tx.scalars(_NAMES, {"after": after, "limit": limit}).all())


def holders(tx: Connection, digest: str, limit: int) -> list[str]:
    """Names of repositories that hold the blob, the oldest first."""
    return list(tx.scalars(_HOLDERS, {"digest": digest, "limit": limit}).all())


def _ensure(tx: Connection, name: str, look: Select[int]) -> int:
    found = tx.scalar(look, {"name": name})
    if found is None:
        tx.execute(_ADD, {"name": name})
        found = tx.scalars(look, {"name": name}).one()
    return found
