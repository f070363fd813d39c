"""Databases: operations as transactions, on SQLite with several processes or on PostgreSQL.

A schema is tables and the migrations that make them; `Database` opens one, brings it up to date and
runs operations on it.  The catalog is one such schema, the hub's accounts are another.
"""

from __future__ import annotations

from registry_storage.databases.engine import Database
from registry_storage.databases.schema import Schema
from registry_storage.databases.types import (
    NAMING_CONVENTION,
    byte_ordered_text,
    db_now,
    surrogate_key,
)

__all__ = [
    "NAMING_CONVENTION",
    "Database",
    "Schema",
    "byte_ordered_text",
    "db_now",
    "surrogate_key",
]
