"""How often each tag and each manifest was pulled, by the reference that clients asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, exists, or_, select
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog.tables import manifests, pulls, repositories, tags
from registry_storage.databases.types import db_now

_reference = bindparam("reference", type_=pulls.c.reference.type)
_here = repositories.c.id
_is_there = or_(
    exists().where(tags.c.repository_id == _here, tags.c.name == _reference),
    exists().where(manifests.c.repository_id == _here, manifests.c.digest == _reference),
)
_new = insert(pulls).from_select(
    ["repository_id", "reference", "pulls", "last_pulled_at"],
    select(_here, _reference, bindparam("count", type_=pulls.c.pulls.type), db_now()).where(
        repositories.c.name == bindparam("repository"), _is_there
    ),
)
_ADD = _new.on_conflict_do_update(
    index_elements=[pulls.c.repository_id, pulls.c.reference],
    set_={
        "pulls": pulls.c.pulls + _new.excluded.pulls,
        "last_pulled_at": _new.excluded.last_pulled_at,
    },
)
_FORGET = delete(pulls).where(
    pulls.c.repository_id == bindparam("of_repository"), pulls.c.reference == bindparam("this")
)


def add(tx: Connection, counts: Mapping[tuple[str, str], int]) -> None:
    """Add pulls that happened just now, by (repository, reference); of what is gone, nothing."""
    rows = [
        {"repository": repository, "reference": reference, "count": count}
        for (repository, reference), count in sorted(counts.items())
    ]
    if rows:
        tx.execute(_ADD, rows)


def forget(tx: Connection, repository_id: int, references: Iterable[str]) -> None:
    """Tags or manifests of the repository were deleted."""
    rows = [{"of_repository": repository_id, "this": reference} for reference in references]
    if rows:
        tx.execute(_FORGET, rows)
