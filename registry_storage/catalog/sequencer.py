"""The sequencer: numbers events, as long as its process holds a lease."""

from __future__ import annotations

from sqlalchemy import Connection

from registry_storage.catalog import events, leases
from registry_storage.errors import CatalogError


def number(tx: Connection, lease: str, holder: str, ttl: int) -> int:
    """Number what is committed, and renew the lease with it; return how many events.

    Raises `CatalogError`, and numbers nothing, where somebody else holds the lease.
    """
    numbered = events.number(tx)
    if numbered and not leases.acquire(tx, lease, holder, ttl):
        raise CatalogError(f"another process holds the lease {lease}")
    return numbered
