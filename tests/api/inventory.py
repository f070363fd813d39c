"""A look at what a server on the embedded default keeps."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_VOLATILE_TABLES = {"alembic_version", "events", "garbage", "leases", "pulls"}
"""Written behind the answers of requests that have nothing to do with the one looked at."""
_GARBAGE = "SELECT count(*) FROM garbage"
_OWN_FILES = re.compile(r"catalog\.|marker|journal|snapshot")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a store holds: the number of its files, and of the rows of each table."""

    files: int
    rows: Mapping[str, int]


def inventory(storage: Path) -> Inventory:
    """Files of blobs and uploads, and rows.

    Left out: what the server writes for itself, and files that are garbage by its own account.
    """
    files = [path for path in storage.rglob("*") if path.is_file()]
    own = [path for path in files if _OWN_FILES.search(str(path.relative_to(storage)))]
    address = f"file:{storage / 'catalog.sqlite'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=10)) as catalog:
        (garbage,) = catalog.execute(_GARBAGE).fetchone()
        return Inventory(len(files) - len(own) - garbage, _rows(catalog))


def _rows(catalog: sqlite3.Connection) -> dict[str, int]:
    names = catalog.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        name: catalog.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        for (name,) in sorted(names)
        if name not in _VOLATILE_TABLES
    }
