"""What lies in the file: blobs and uploads, their bytes in rows of at most 1 MiB."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from registry_storage.errors import AccessDenied, DriverError, DriverUnavailable, NoSpace

R = TypeVar("R")

SCHEMA = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS blobs (
        id TEXT PRIMARY KEY, kind TEXT, digest TEXT,  -- no kind and no digest: not marked
        size INTEGER NOT NULL, stored_at REAL NOT NULL
    );
    CREATE TABLE IF NOT EXISTS uploads (handle TEXT PRIMARY KEY, begun REAL NOT NULL);
    CREATE TABLE IF NOT EXISTS parts (token TEXT PRIMARY KEY, handle TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS pieces (  -- of a part, then of the blob that it became one of
        owner TEXT NOT NULL, start INTEGER NOT NULL, bytes BLOB NOT NULL,
        PRIMARY KEY (owner, start)
    ) WITHOUT ROWID;
"""

ERRORS = {
    sqlite3.SQLITE_FULL: NoSpace,
    sqlite3.SQLITE_READONLY: AccessDenied,
    sqlite3.SQLITE_CANTOPEN: AccessDenied,
    sqlite3.SQLITE_BUSY: DriverUnavailable,
}


class Tables:
    """The file.  A connection for each operation, so that any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        """Make the file and its tables where they are missing."""
        with self._connected() as connection:
            connection.executescript(SCHEMA)

    def change(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """The result of `work`, done wholly and durably, or not at all."""
        return self._transaction("BEGIN IMMEDIATE", work)

    def look(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """The result of `work`, which only reads: one state of the file."""
        return self._transaction("BEGIN", work)

    def _transaction(self, begin: str, work: Callable[[sqlite3.Connection], R]) -> R:
        with self._connected() as connection:
            connection.execute(begin)
            result = work(connection)
            connection.execute("COMMIT")
            return result

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            raise ERRORS.get(code, DriverError)(f"{self._path}: {error}") from error
