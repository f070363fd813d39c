"""Repositories: a name and its number.  A row is made by the first write to it.

Whoever adds to a repository keeps its row from being renamed or deleted meanwhile (`ensure`), or
from any other change of what it lists (`lock`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, exists, func, literal, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from registry_storage.catalog import events
from registry_storage.catalog.namespaces import Quota, lock_quota
from registry_storage.catalog.tables import (
    manifests,
    namespaces,
    redirects,
    repositories,
    repository_blobs,
)
from registry_storage.databases.types import db_now
from registry_storage.errors import RepositoryExists, RepositoryUnknown
from registry_storage.names import namespace_of
from registry_storage.values import Visibility


class Place(NamedTuple):
    """A repository that something is about to be added to."""

    id: int
    name: str
    quota: Quota | None
    """Of its namespace, locked; None where its bytes have no limit."""


_FIND = select(repositories.c.id).where(repositories.c.name == bindparam("name"))
_LOCK = _FIND.with_for_update(key_share=True)
_LOCK_NAME = _FIND.with_for_update()
VISIBILITY = select(repositories.c.visibility).where(repositories.c.name == bindparam("name"))
_PLACE = _FIND.add_columns(
    exists().where(namespaces.c.name == bindparam("namespace"), namespaces.c.max_bytes.is_not(None))
)
_KEEP_PLACE = _PLACE.with_for_update(read=True, key_share=True, of=repositories)
_LOCK_PLACE = _PLACE.with_for_update(key_share=True, of=repositories)
_default_visibility = (
    select(namespaces.c.default_visibility)
    .where(namespaces.c.name == bindparam("namespace"))
    .scalar_subquery()
)
_ADD = (
    insert(repositories)
    .values(
        name=bindparam("name"),
        visibility=func.coalesce(
            bindparam("visibility", type_=repositories.c.visibility.type),
            _default_visibility,
            literal(Visibility.PRIVATE.value),
        ),
    )
    .on_conflict_do_nothing()
    .inline()
    .execution_options(preserve_rowcount=True)
)
_RENAME = (
    update(repositories)
    .where(repositories.c.id == bindparam("repository_id"))
    .values(name=bindparam("new_name"))
)
_LEAD = insert(redirects).values(name=bindparam("name"), repository_id=bindparam("repository_id"))
_TAKE_NAME = sql_delete(redirects).where(redirects.c.name == bindparam("name"))
_SET_VISIBILITY = (
    update(repositories)
    .where(repositories.c.id == bindparam("repository_id"))
    .values(visibility=bindparam("new_visibility"))
)
_PUSHED = (
    update(repositories)
    .where(repositories.c.id == bindparam("repository_id"))
    .values(listed=True, last_pushed_at=db_now())
)
_UNLIST_IF_EMPTY = (
    update(repositories)
    .where(
        repositories.c.id == bindparam("repository_id"),
        ~exists().where(manifests.c.repository_id == repositories.c.id),
    )
    .values(listed=False)
)
_HOLDERS = (
    select(repositories.c.name)
    .join(repository_blobs, repository_blobs.c.repository_id == repositories.c.id)
    .where(repository_blobs.c.digest == bindparam("digest"))
    .order_by(repository_blobs.c.repository_id)
    .limit(bindparam("limit"))
)
_NAME = select(repositories.c.name).where(repositories.c.id == bindparam("repository_id"))
_RESOLVE = (
    select(repositories.c.name)
    .join(redirects, redirects.c.repository_id == repositories.c.id)
    .where(redirects.c.name == bindparam("name"))
)


def find(tx: Connection, name: str) -> int | None:
    """The number of a repository, None if there is none of that name."""
    return tx.scalar(_FIND, {"name": name})


def name_of(tx: Connection, repository_id: int) -> str | None:
    """What the repository of that number is called; None if there is none."""
    return tx.scalar(_NAME, {"repository_id": repository_id})


def ensure(tx: Connection, name: str, *, actor: str = "") -> Place:
    """A repository, made if there is none of that name.

    It stays, and keeps its name, until the end of the transaction.  Raises `QuotaExceeded` where
    the namespace may have no more.
    """
    return _enter(tx, name, _KEEP_PLACE, actor)


def keep(tx: Connection, name: str) -> Place | None:
    """As `ensure`; None if there is no repository of that name."""
    return _look(tx, name, _KEEP_PLACE)


def lock(tx: Connection, name: str) -> int | None:
    """As `find`, and the only one until the end of the transaction to change what it lists.

    Whoever changes manifests or tags of a repository takes this lock first: a tag that does not
    exist yet has no row to lock, so two pushes of a new tag would each think that it replaces
    nothing.  Links and promises of blobs go on meanwhile.
    """
    return tx.scalar(_LOCK, {"name": name})


def lock_or_make(tx: Connection, name: str, *, actor: str = "") -> Place:
    """As `lock`; makes the repository if there is none of that name, as `ensure`."""
    return _enter(tx, name, _LOCK_PLACE, actor)


def create(tx: Connection, name: str, visibility: Visibility | None, *, actor: str = "") -> None:
    """Make an empty repository; None: as visible as its namespace says.

    Raises `RepositoryExists`, `QuotaExceeded`.
    """
    if not _make(tx, name, visibility, actor):
        raise _taken(name)


def visibility(tx: Connection, name: str) -> Visibility | None:
    """Who may pull from it; None if there is no repository of that name."""
    found = tx.scalar(VISIBILITY, {"name": name})
    return Visibility(found) if found is not None else None


def set_visibility(tx: Connection, name: str, visibility: Visibility, *, actor: str = "") -> None:
    """Raises `RepositoryUnknown`."""
    repository_id = lock(tx, name)
    if repository_id is None:
        raise unknown(name)
    before = tx.scalar(VISIBILITY, {"name": name})
    if before == visibility.value:
        return
    given = {"repository_id": repository_id, "new_visibility": visibility.value}
    tx.execute(_SET_VISIBILITY, given)
    details = {"visibility": visibility.value, "before": before}
    events.record(tx, events.REPOSITORY_VISIBILITY, name, actor, details)


def note_push(tx: Connection, repository_id: int) -> None:
    """A manifest or tag was pushed: the repository is listed from now on."""
    tx.execute(_PUSHED, {"repository_id": repository_id})


def unlist_if_empty(tx: Connection, repository_id: int) -> None:
    """A manifest was deleted: without any, the repository is not listed."""
    tx.execute(_UNLIST_IF_EMPTY, {"repository_id": repository_id})


def holders(tx: Connection, digest: str, limit: int) -> list[str]:
    """Names of repositories that hold the blob, the oldest first."""
    return list(tx.scalars(_HOLDERS, {"digest": digest, "limit": limit}).all())


def resolve(tx: Connection, name: str) -> str | None:
    """What the repository is called now that had this name before, if no other has taken it."""
    return tx.scalar(_RESOLVE, {"name": name})


def rename(tx: Connection, old: str, new: str, *, actor: str = "") -> None:
    """Give a repository another name, in another namespace too; `old` leads to it from now on.

    Raises `RepositoryUnknown`, `RepositoryExists`, and `QuotaExceeded` where the new namespace has
    no room for it.
    """
    repository_id = tx.scalar(_LOCK_NAME, {"name": old})
    if repository_id is None:
        raise unknown(old)
    quota = lock_quota(tx, new)
    _set_name(tx, repository_id, new)
    tx.execute(_TAKE_NAME, {"name": new})
    tx.execute(_LEAD, {"name": old, "repository_id": repository_id})
    if quota is not None and namespace_of(old) != namespace_of(new):
        quota.check_repositories(tx)
        quota.check_bytes(tx)
    events.record(tx, events.REPOSITORY_RENAMED, new, actor, {"old": old, "new": new})


def unknown(name: str) -> RepositoryUnknown:
    """What is raised where there is no repository of that name."""
    return RepositoryUnknown(f"there is no repository {name}")


def _taken(name: str) -> RepositoryExists:
    return RepositoryExists(f"there is a repository {name} already")


def _set_name(tx: Connection, repository_id: int, name: str) -> None:
    if find(tx, name) is not None:
        raise _taken(name)
    try:
        tx.execute(_RENAME, {"repository_id": repository_id, "new_name": name})
    except IntegrityError:  # made since the look
        raise _taken(name) from None


def _enter(tx: Connection, name: str, look: Select[Any], actor: str) -> Place:
    # Between two looks another may make the repository, or take it away again.
    while (place := _look(tx, name, look)) is None:
        _make(tx, name, None, actor)
    return place


def _look(tx: Connection, name: str, look: Select[Any]) -> Place | None:
    row = tx.execute(look, {"name": name, "namespace": namespace_of(name)}).first()
    if row is None:
        return None
    repository_id, is_limited = row
    return Place(repository_id, name, lock_quota(tx, name) if is_limited else None)


def _make(tx: Connection, name: str, visibility: Visibility | None, actor: str) -> bool:
    """Whether the repository was not there before."""
    quota = lock_quota(tx, name)
    given = {
        "name": name,
        "namespace": namespace_of(name),
        "visibility": visibility.value if visibility else None,
    }
    if not tx.execute(_ADD, given).rowcount:
        return False
    tx.execute(_TAKE_NAME, {"name": name})
    if quota is not None:
        quota.check_repositories(tx)
    details = {"visibility": tx.scalar(VISIBILITY, {"name": name})}
    events.record(tx, events.REPOSITORY_CREATED, name, actor, details)
    return True
