"""Events: one outbox of every change, with many readers.

An event is recorded in the transaction of its change, without a position.  One sequencer at a time
numbers what is committed, and readers follow positions: a cursor over ids would step over the event
of a transaction that took its id early and committed late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from registry_storage.catalog.tables import events
from registry_storage.values import Actor

BLOB_LINKED: Final = "blob.linked"
BLOB_MOUNTED: Final = "blob.mounted"
BLOB_DELETED: Final = "blob.deleted"
MANIFEST_PUSHED: Final = "manifest.pushed"
MANIFEST_DELETED: Final = "manifest.deleted"
TAG_SET: Final = "tag.set"
TAG_DELETED: Final = "tag.deleted"
REPOSITORY_CREATED: Final = "repository.created"
REPOSITORY_VISIBILITY: Final = "repository.visibility"
REPOSITORY_RENAMED: Final = "repository.renamed"
REPOSITORY_DELETED: Final = "repository.deleted"
NAMESPACE_CHANGED: Final = "namespace.changed"

NUMBERED_AT_ONCE = 10_000


class Event(NamedTuple):
    """A change that was committed."""

    position: int
    occurred_at: int
    """Milliseconds since the epoch, of the database's clock."""
    kind: str
    repository: str | None
    actor: str
    origin: str
    details: Mapping[str, Any]


_RECORD = insert(events).inline()
_LAST = select(func.coalesce(func.max(events.c.position), 0))
_unnumbered = (
    select(events.c.id, func.row_number().over(order_by=events.c.id).label("nth"))
    .where(events.c.position.is_(None))
    .order_by(events.c.id)
    .limit(NUMBERED_AT_ONCE)
    .subquery("unnumbered")
)
_NUMBER = (
    update(events)
    .where(events.c.id == _unnumbered.c.id, events.c.position.is_(None))
    .values(position=_unnumbered.c.nth + bindparam("last"))
)
_AFTER = (
    select(*(events.c[name] for name in Event._fields))
    .where(events.c.position > bindparam("position_before"))
    .order_by(events.c.position)
    .limit(bindparam("limit"))
)


def record(
    tx: Connection,
    kind: str,
    repository: str | None,
    actor: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Say what the transaction changes.  `details` is what JSON can hold."""
    record_all(tx, repository, actor, [(kind, details or {})])


def record_all(
    tx: Connection,
    repository: str | None,
    actor: str,
    changes: Iterable[tuple[str, Mapping[str, Any]]],
) -> None:
    """As `record`, for several changes: each a kind and its details."""
    origin = actor.origin if isinstance(actor, Actor) else ""
    common = {"repository": repository, "actor": actor, "origin": origin}
    rows = [{**common, "kind": kind, "details": details} for kind, details in changes]
    if rows:
        tx.execute(_RECORD, rows)


def number(tx: Connection) -> int:
    """Give positions to committed events, without gaps; return to how many.

    For the sequencer alone.  The newest event must never be deleted: the next position follows it.
    """
    return tx.execute(_NUMBER, {"last": last(tx)}).rowcount


def last(tx: Connection) -> int:
    """The newest position, 0 where no event has one."""
    return int(tx.scalars(_LAST).one())


def after(tx: Connection, position: int, limit: int) -> list[Event]:
    """Events above `position`, in order."""
    rows = tx.execute(_AFTER, {"position_before": position, "limit": limit})
    return [Event(*row) for row in rows.all()]
