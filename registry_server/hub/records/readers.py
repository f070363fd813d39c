"""How far the hub has read the events of the catalog, in the database that it copies them to.

What is read and how far that went are one transaction, so nothing is copied twice or left out,
however many processes read.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.tables import readers as table

_POSITION = select(table.c.position).where(table.c.name == bindparam("reader"))
_ADVANCE = (
    update(table)
    .where(table.c.name == bindparam("reader"), table.c.position == bindparam("read_from"))
    .values(position=bindparam("read_to"))
)
_BEGIN = insert(table).values(name=bindparam("reader"), position=0).on_conflict_do_nothing()


def position(tx: Connection, reader: str) -> int:
    """The last event that was read; 0 where there was none."""
    return tx.scalars(_POSITION, {"reader": reader}).one_or_none() or 0


def advance(tx: Connection, reader: str, read_from: int, read_to: int) -> bool:
    """Go on from one position to another; False where another process has done so first.

    Then the transaction must copy nothing of what lies between them.
    """
    if not read_from:
        tx.execute(_BEGIN, {"reader": reader})
    step = {"reader": reader, "read_from": read_from, "read_to": read_to}
    return tx.execute(_ADVANCE, step).rowcount == 1
