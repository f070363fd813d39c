"""The rows of names that somebody fails to log in by, whether anybody has them or not.

From the `FREE`th wrong password in a row on the name is locked, for twice as long each time.
Attempts while it is locked do not count.  Times are milliseconds.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from registry_server.hub.tables import login_failures as table
from registry_storage.databases import db_now

FREE = 5
FIRST_LOCK = 1_000
LONGEST_LOCK = 300_000
FORGOTTEN_AFTER = 3_600_000
"""A failure counts for so long after the last one."""

_HAS_NAME = table.c.name == bindparam("of_name")
_LOCKED_FOR = select(table.c.locked_until - db_now()).where(_HAS_NAME)
_FORGIVE = delete(table).where(_HAS_NAME)
_FORGET_OLD = delete(table).where(table.c.failed_at <= db_now() - FORGOTTEN_AFTER)
_COUNT = (
    insert(table)
    .values(name=bindparam("of_name"), failures=1, failed_at=db_now(), locked_until=0)
    .on_conflict_do_update(
        index_elements=[table.c.name],
        set_={"failures": table.c.failures + 1, "failed_at": db_now()},
        where=table.c.locked_until <= db_now(),
    )
    .returning(table.c.failures)
)
_LOCK = update(table).where(_HAS_NAME).values(locked_until=db_now() + bindparam("lock"))


def locked_for(tx: Connection, name: str) -> int:
    """How long that name is still locked; 0: it is not."""
    return max(tx.execute(_LOCKED_FOR, {"of_name": name}).scalar() or 0, 0)


def count(tx: Connection, name: str) -> bool:
    """One more wrong password; whether that locks the name."""
    tx.execute(_FORGET_OLD)
    failures = tx.execute(_COUNT, {"of_name": name}).scalar()
    if failures is None or failures < FREE:
        return False
    doublings = min(failures - FREE, LONGEST_LOCK.bit_length())
    lock = min(FIRST_LOCK << doublings, LONGEST_LOCK)
    tx.execute(_LOCK, {"of_name": name, "lock": lock})
    return True


def forgive(tx: Connection, name: str) -> None:
    """Somebody has shown that the name is theirs: forget the wrong ones."""
    tx.execute(_FORGIVE, {"of_name": name})
