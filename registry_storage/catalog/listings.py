"""Lists of repositories, whole or as far as somebody may see them, and the facts about each.

Whoever may see few of very many repositories is not made to wait for those they may not: what is
public, each namespace and names that are given are each one range of an index, and a page of the
list is made of their first pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select

from registry_storage.catalog.namespaces import bounds
from registry_storage.catalog.protocols import CHUNK
from registry_storage.catalog.tables import (
    IS_LISTED,
    IS_PUBLIC,
    blobs,
    manifests,
    pulls,
    repositories,
    repository_blobs,
    tags,
)
from registry_storage.values import RepositoryFacts, Visibility


@dataclass(frozen=True, slots=True)
class Scope:
    """Which repositories somebody may see: those for which one of these speaks."""

    public: bool = False
    """All that are public."""
    namespaces: Sequence[str] = ()
    """All of these namespaces."""
    names: Sequence[str] = ()
    """Single ones."""


class _List:
    """The pages of one list of names, whole or in part."""

    def __init__(self, *conditions: ColumnElement[bool]) -> None:
        name = repositories.c.name
        self.everything = (
            select(name)
            .where(*conditions, name > bindparam("after"))
            .order_by(name)
            .limit(bindparam("limit"))
        )
        self._public = self.everything.where(IS_PUBLIC)
        self._range = self.everything.where(name < bindparam("stop"))
        self._single = self.everything.where(name.not_like("%/%"))
        self._named = self.everything.where(name.in_(bindparam("names", expanding=True)))

    def page(self, tx: Connection, scope: Scope | None, after: str, limit: int) -> list[str]:
        """Names above `after` that lie in `scope` (None: all), in byte order."""
        if scope is None:
            return self._first(tx, self.everything, after, limit)
        found = set(self._of_namespaces(tx, scope.namespaces, after, limit))
        if scope.public:
            found.update(self._first(tx, self._public, after, limit))
        if "" in scope.namespaces:
            found.update(self._first(tx, self._single, after, limit))
        for start in range(0, len(names := sorted(set(scope.names))), CHUNK):
            chunk = names[start : start + CHUNK]
            found.update(self._first(tx, self._named, after, limit, names=chunk))
        return sorted(found)[:limit]

    def _of_namespaces(
        self, tx: Connection, namespaces: Iterable[str], after: str, limit: int
    ) -> list[str]:
        """One range behind the other, until the page is full."""
        found: list[str] = []
        ranges = sorted((bounds(name) for name in set(namespaces) - {""}), key=_start)
        for between in ranges:
            if len(found) >= limit:
                break
            if between["stop"] > after:
                above, stop = max(after, between["start"]), between["stop"]
                found += self._first(tx, self._range, above, limit - len(found), stop=stop)
        return found

    def _first(
        self, tx: Connection, statement: Select[Any], after: str, limit: int, **more: Any
    ) -> list[str]:
        return list(tx.scalars(statement, {"after": after, "limit": limit, **more}).all())


def _start(between: dict[str, str]) -> str:
    return between["start"]


_ALL = _List()
_LISTED = _List(IS_LISTED)

_here = repositories.c.id
_size_of_blobs = (
    select(func.sum(blobs.c.size))
    .join(repository_blobs, repository_blobs.c.digest == blobs.c.digest)
    .where(repository_blobs.c.repository_id == _here)
)
_size_of_manifests = select(func.sum(manifests.c.size)).where(manifests.c.repository_id == _here)
_number_of_tags = select(func.count()).select_from(tags).where(tags.c.repository_id == _here)
_pulls = select(func.sum(pulls.c.pulls)).where(pulls.c.repository_id == _here)
_last_pull = select(func.max(pulls.c.last_pulled_at)).where(pulls.c.repository_id == _here)
_FACTS = (
    select(
        repositories.c.name,
        repositories.c.visibility,
        repositories.c.created_at,
        repositories.c.last_pushed_at,
        _size_of_blobs.label("blob_bytes"),
        _size_of_manifests.label("manifest_bytes"),
        _number_of_tags.label("tags"),
        _pulls.label("pulls"),
        _last_pull.label("last_pulled_at"),
    )
    .where(repositories.c.name.in_(bindparam("names", expanding=True)))
    .order_by(repositories.c.name)
)


def names(tx: Connection, after: str, limit: int) -> list[str]:
    """Names of repositories that hold a manifest, above `after`, in byte order."""
    return _LISTED.page(tx, None, after, limit)


def visible(tx: Connection, scope: Scope, after: str, limit: int) -> list[str]:
    """As `names`, of those in `scope`."""
    return _LISTED.page(tx, scope, after, limit)


def browse(tx: Connection, scope: Scope | None, after: str, limit: int) -> list[RepositoryFacts]:
    """Repositories in `scope` (None: all), empty ones too, above `after`, in byte order."""
    return _facts(tx, _ALL.page(tx, scope, after, limit))


def facts(tx: Connection, name: str) -> RepositoryFacts | None:
    """What is known of a repository; None if there is none of that name."""
    return next(iter(_facts(tx, [name])), None)


def _facts(tx: Connection, names: Sequence[str]) -> list[RepositoryFacts]:
    return [
        _as_facts(row)
        for start in range(0, len(names), CHUNK)
        for row in tx.execute(_FACTS, {"names": names[start : start + CHUNK]}).all()
    ]


def _as_facts(row: Any) -> RepositoryFacts:
    return RepositoryFacts(
        name=row.name,
        visibility=Visibility(row.visibility),
        created_at=row.created_at,
        last_pushed_at=row.last_pushed_at,
        size=int(row.blob_bytes or 0) + int(row.manifest_bytes or 0),
        tags=row.tags,
        pulls=int(row.pulls or 0),
        last_pulled_at=row.last_pulled_at,
    )
