"""Namespaces: what the repositories of one owner may hold in all, and how they begin.

A namespace is the first component of a name that has several; its repositories are the names of
one range, for `/` is followed by `0`: `team/` < `team/anything` < `team0`.  Only what differs from
the defaults has a row.

What is used is always counted, never kept.  Who adds something to a namespace with a limit locks
the namespace's row before (behind the repository's, before all others), adds, and counts then:
of two that would fit alone, the second sees the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog import events
from registry_storage.catalog.tables import (
    blobs,
    manifests,
    namespaces,
    repositories,
    repository_blobs,
)
from registry_storage.errors import QuotaExceeded
from registry_storage.names import namespace_of
from registry_storage.values import Namespace, Usage, Visibility

_FIND = select(namespaces).where(namespaces.c.name == bindparam("name"))
_LOCK = _FIND.with_for_update(key_share=True)
_DEFAULTS: Final[Mapping[str, Any]] = {
    "default_visibility": Visibility.PRIVATE.value,
    "max_bytes": None,
    "max_repositories": None,
}
_DROP_DEFAULT = delete(namespaces).where(
    namespaces.c.name == bindparam("name"),
    *(namespaces.c[column].is_not_distinct_from(value) for column, value in _DEFAULTS.items()),
)

_IN_RANGE = (repositories.c.name > bindparam("start")) & (repositories.c.name < bindparam("stop"))
_IN_NONE = repositories.c.name.not_like("%/%")


class _Counts:
    """The questions what the repositories of one namespace hold."""

    def __init__(self, in_namespace: ColumnElement[bool]) -> None:
        ours = repositories.c.id
        holds = select(repository_blobs.c.digest).join(
            repositories, repository_blobs.c.repository_id == ours
        )
        lists = select(manifests.c.digest).join(repositories, manifests.c.repository_id == ours)
        listed = lists.add_columns(manifests.c.size).where(in_namespace).distinct().subquery()
        self.repositories = select(func.count()).select_from(repositories).where(in_namespace)
        self.blob_bytes = _sum(
            select(func.sum(blobs.c.size)).where(blobs.c.digest.in_(holds.where(in_namespace)))
        )
        self.manifest_bytes = _sum(select(func.sum(listed.c.size)))
        self.other_holder = _other(holds, repository_blobs.c, in_namespace)
        self.other_lister = _other(lists, manifests.c, in_namespace)


def _sum(total: Select[Any]) -> Select[Any]:
    return select(func.coalesce(total.scalar_subquery(), 0))


def _other(holders: Select[Any], held: Any, in_namespace: ColumnElement[bool]) -> Select[Any]:
    """Whether a repository of the namespace other than one given holds a digest."""
    return select(
        exists(
            holders.where(
                in_namespace,
                held.digest == bindparam("digest"),
                held.repository_id != bindparam("repository_id"),
            )
        )
    )


_COUNTS, _COUNTS_OF_NONE = _Counts(_IN_RANGE), _Counts(_IN_NONE)


def bounds(namespace: str) -> dict[str, str]:
    """Between which two names those of a namespace lie; "" has no such bounds."""
    return {"start": f"{namespace}/", "stop": f"{namespace}0"}


def find(tx: Connection, name: str) -> Namespace:
    """The namespace, with the defaults where nothing was set."""
    return _found(tx.execute(_FIND, {"name": name}).first(), name)


def set_default_visibility(
    tx: Connection, name: str, visibility: Visibility, *, actor: str = ""
) -> None:
    """How repositories of the namespace begin that are made from now on."""
    _change(tx, name, {"default_visibility": visibility.value}, actor)


def set_quota(
    tx: Connection,
    name: str,
    *,
    max_bytes: int | None,
    max_repositories: int | None,
    actor: str = "",
) -> None:
    """What the namespace may hold from now on."""
    _change(tx, name, {"max_bytes": max_bytes, "max_repositories": max_repositories}, actor)


def reset(tx: Connection, name: str, *, actor: str = "") -> None:
    """Back to the defaults, for whoever has the name next."""
    if tx.execute(_FIND, {"name": name}).first() is not None:
        _change(tx, name, _DEFAULTS, actor)


def _change(tx: Connection, name: str, values: Mapping[str, Any], actor: str) -> None:
    """Set these columns and no others, which somebody else may be setting."""
    new = insert(namespaces).values(**{"name": name, **_DEFAULTS, **values})
    tx.execute(new.on_conflict_do_update(index_elements=[namespaces.c.name], set_=values))
    tx.execute(_DROP_DEFAULT, {"name": name})
    events.record(tx, events.NAMESPACE_CHANGED, None, actor, {"namespace": name, **values})


def usage(tx: Connection, name: str) -> Usage:
    """What the namespace holds now."""
    return Usage(_bytes(tx, name), int(tx.scalar(_counts(name).repositories, bounds(name)) or 0))


class Quota(NamedTuple):
    """The limits of one namespace, whose row is locked until the end of the transaction."""

    namespace: str
    max_bytes: int | None
    max_repositories: int | None

    def check_repositories(self, tx: Connection) -> None:
        """Raise `QuotaExceeded` where the namespace has more repositories than it may."""
        if self.max_repositories is None:
            return
        count = tx.scalar(_counts(self.namespace).repositories, bounds(self.namespace)) or 0
        if count > self.max_repositories:
            raise QuotaExceeded(self.namespace, count, self.max_repositories, "repositories")

    def check_blob(self, tx: Connection, repository_id: int, digest: str) -> None:
        """Raise `QuotaExceeded` if the blob, which that repository now holds, is too much."""
        self._check_added(tx, _counts(self.namespace).other_holder, repository_id, digest)

    def check_manifest(self, tx: Connection, repository_id: int, digest: str) -> None:
        """Raise `QuotaExceeded` if the manifest, which is now listed there, is too much."""
        self._check_added(tx, _counts(self.namespace).other_lister, repository_id, digest)

    def check_bytes(self, tx: Connection) -> None:
        """Raise `QuotaExceeded` where the namespace has more bytes than it may."""
        if self.max_bytes is None:
            return
        used = _bytes(tx, self.namespace)
        if used > self.max_bytes:
            raise QuotaExceeded(self.namespace, used, self.max_bytes, "bytes")

    def _check_added(
        self, tx: Connection, other: Select[Any], repository_id: int, digest: str
    ) -> None:
        """What another repository of the namespace holds already takes no more room."""
        given = {"digest": digest, "repository_id": repository_id, **bounds(self.namespace)}
        if not tx.scalar(other, given):
            self.check_bytes(tx)


def lock_quota(tx: Connection, repository: str) -> Quota | None:
    """The limits of the namespace that the name lies in, locked; None where it has none."""
    name = namespace_of(repository)
    row = tx.execute(_LOCK, {"name": name}).first()
    if row is None or (row.max_bytes is None and row.max_repositories is None):
        return None
    return Quota(name, row.max_bytes, row.max_repositories)


def _found(row: Any, name: str) -> Namespace:
    if row is None:
        return Namespace(name)
    return Namespace(name, Visibility(row.default_visibility), row.max_bytes, row.max_repositories)


def _counts(namespace: str) -> _Counts:
    return _COUNTS if namespace else _COUNTS_OF_NONE


def _bytes(tx: Connection, namespace: str) -> int:
    counts, between = _counts(namespace), bounds(namespace)
    return sum(
        int(tx.scalar(question, between) or 0)
        for question in (counts.blob_bytes, counts.manifest_bytes)
    )
