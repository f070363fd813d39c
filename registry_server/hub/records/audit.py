"""The rows of the audit log: who did what to what, and from where.

A row is written in the transaction of the change that it tells of, and never changed after that;
it goes when `auth.hub.audit.retention` is over, and not before.  No secret belongs into one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, tuple_

from registry_server.hub.tables import audit as table
from registry_storage.databases import db_now


@dataclass(frozen=True, slots=True)
class By:
    """Who does something."""

    actor: str
    """A user, a robot (`namespace+name`), or one of those in parentheses below."""
    origin: str = ""
    """The address that their request came from."""
    request_id: str = ""


OPERATOR: Final = By("(operator)")
"""Whoever runs commands on the server itself."""
HUB: Final = By("(hub)")
"""What the hub does by itself, when its time has come."""
NOBODY: Final = "(anonymous)"
"""The actor where nobody has said who they are."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done."""

    action: str
    """The noun and what becomes of it, such as `user.created` and `member.set`."""
    target: str
    """The kind of thing and its name, such as `user:ann` and `repository:team/app`."""
    namespace: str = ""
    """The one that it happens in, whose admins may read of it; "": the hub as a whole."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else is worth telling: what JSON can hold, and no secret."""


class Mark(NamedTuple):
    """The place of an entry in the log, which is ordered by time."""

    at: int
    id: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log."""

    mark: Mark
    by: By
    deed: Deed


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; what is None or empty does not matter.  Times as in the log."""

    actor: str | None = None
    target: str | None = None
    namespace: str | None = None
    action: str | None = None
    since: int | None = None
    """Not before that."""
    until: int | None = None
    """Before that."""


_INSERT = insert(table).inline()
_COLUMNS = (
    *(table.c.at, table.c.id, table.c.actor, table.c.origin, table.c.request_id),
    *(table.c.action, table.c.target, table.c.namespace, table.c.details),
)
_EXACTLY: Final = ("actor", "target", "namespace", "action")
_OLDEST = (
    select(table.c.id)
    .where(table.c.at < db_now() - bindparam("retention"))
    .order_by(table.c.at, table.c.id)
    .limit(bindparam("limit"))
)
_FORGET = delete(table).where(table.c.id.in_(_OLDEST))


def record(tx: Connection, by: By, deed: Deed) -> None:
    """Say what the transaction does, and who does it."""
    tx.execute(_INSERT, _values(by, deed))


def copy(tx: Connection, told: Sequence[tuple[int, By, Deed]]) -> None:
    """Say what was done elsewhere, each at a time in milliseconds since the epoch."""
    if told:
        tx.execute(_INSERT, [{"at": at, **_values(by, deed)} for at, by, deed in told])


def find(
    tx: Connection, search: Search, *, before: Mark | None = None, limit: int = 100
) -> list[Entry]:
    """What fits, the newest first: at most `limit` entries that stand before `before`."""
    query = _narrowed(select(*_COLUMNS), search)
    if before is not None:
        query = query.where(tuple_(table.c.at, table.c.id) < tuple_(*before))
    rows = tx.execute(query.order_by(table.c.at.desc(), table.c.id.desc()).limit(limit))
    return [Entry(Mark(*row[:2]), By(*row[2:5]), Deed(*row[5:])) for row in rows.all()]


def forget(tx: Connection, retention: int, limit: int) -> int:
    """Remove at most `limit` entries that are older than so many milliseconds; how many it were."""
    return tx.execute(_FORGET, {"retention": retention, "limit": limit}).rowcount


def _values(by: By, deed: Deed) -> dict[str, Any]:
    return {
        "actor": by.actor or NOBODY,
        "origin": by.origin,
        "request_id": by.request_id,
        "action": deed.action,
        "target": deed.target,
        "namespace": deed.namespace,
        "details": dict(deed.details),
    }


def _narrowed(query: Select[Any], search: Search) -> Select[Any]:
    for name in _EXACTLY:
        wanted = getattr(search, name)
        if wanted is not None:
            query = query.where(table.c[name] == wanted)
    if search.since is not None:
        query = query.where(table.c.at >= search.since)
    if search.until is not None:
        query = query.where(table.c.at < search.until)
    return query
