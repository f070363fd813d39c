"""What a process opened is for that process: no lock, connection or thread survives a fork."""

from __future__ import annotations

import os

from registry_storage.errors import CatalogError


def refuse_after_fork(opened_by: int) -> None:
    """Raise `CatalogError` in every process but `opened_by`."""
    if os.getpid() != opened_by:
        raise CatalogError(
            "this database was opened before the process forked: open one in each process"
        )
