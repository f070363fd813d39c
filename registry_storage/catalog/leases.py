"""Leases: who may run a job that only one process of the whole cluster should."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, or_
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog.tables import leases
from registry_storage.databases.types import db_now

_claim = insert(leases).values(
    name=bindparam("name"), holder=bindparam("holder"), until=db_now() + bindparam("ttl")
)
_ACQUIRE = _claim.on_conflict_do_update(
    index_elements=[leases.c.name],
    set_={"holder": _claim.excluded.holder, "until": _claim.excluded.until},
    where=or_(leases.c.holder == _claim.excluded.holder, leases.c.until <= db_now()),
).execution_options(preserve_rowcount=True)
_RELEASE = delete(leases).where(
    leases.c.name == bindparam("name"), leases.c.holder == bindparam("holder")
)


def acquire(tx: Connection, name: str, holder: str, ttl: int) -> bool:
    """Whether `holder` has the lease, free before or renewed now, for `ttl` milliseconds."""
    return tx.execute(_ACQUIRE, {"name": name, "holder": holder, "ttl": ttl}).rowcount == 1


def release(tx: Connection, name: str, holder: str) -> None:
    """Give the lease back, if `holder` still has it."""
    tx.execute(_RELEASE, {"name": name, "holder": holder})
