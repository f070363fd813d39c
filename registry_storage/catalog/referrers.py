"""Referrers: the manifests that name another as their subject, in pages of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from registry_storage.catalog import repositories
from registry_storage.catalog.tables import manifests

PAGE_TEXT: Final = 4 * 1024 * 1024
"""Characters of annotations behind which a page ends: more than clients read of an index."""

_AT_A_TIME: Final = 32
"""Rows that are read at once: annotations may have 64 Ki characters in each."""


class ReferrerRow(NamedTuple):
    """What a referrers list shows (OCI Distribution Spec 1.1, "Listing Referrers")."""

    digest: str
    media_type: str
    size: int
    artifact_type: str | None
    annotations: Mapping[str, str] | None


_PAGE = (
    select(*(manifests.c[name] for name in ReferrerRow._fields))
    .where(manifests.c.repository_id == bindparam("repository_id"))
    .where(manifests.c.subject == bindparam("subject"), manifests.c.digest > bindparam("after"))
    .order_by(manifests.c.digest)
    .limit(bindparam("limit"))
)
_PAGE_OF_TYPE = _PAGE.where(manifests.c.artifact_type == bindparam("artifact_type"))


def page(
    tx: Connection,
    repository: str,
    subject: str,
    artifact_type: str | None,
    after: str,
    limit: int,
) -> list[ReferrerRow]:
    """Manifests of the repository whose subject is that, above digest `after`, by digest.

    At most `limit`, and no more behind `PAGE_TEXT` characters of annotations: only an empty page
    says that there are no more.
    """
    found: list[ReferrerRow] = []
    text = 0
    for row in _above(tx, repository, subject, artifact_type, after, limit):
        found.append(row)
        text += sum(len(key) + len(value) for key, value in (row.annotations or {}).items())
        if text > PAGE_TEXT:
            break
    return found


def _above(
    tx: Connection,
    repository: str,
    subject: str,
    artifact_type: str | None,
    after: str,
    limit: int,
) -> Iterator[ReferrerRow]:
    """At most `limit` rows, as few in memory as `_AT_A_TIME`."""
    # Joined with the repositories, PostgreSQL would sort all referrers for every page.
    given = {"repository_id": repositories.find(tx, repository), "subject": subject}
    statement = _PAGE
    if artifact_type is not None:
        statement, given = _PAGE_OF_TYPE, {**given, "artifact_type": artifact_type}
    while limit > 0:
        wanted = min(limit, _AT_A_TIME)
        rows = tx.execute(statement, {**given, "after": after, "limit": wanted}).all()
        yield from (ReferrerRow(*row) for row in rows)
        if len(rows) < wanted:
            return
        after, limit = rows[-1].digest, limit - wanted
