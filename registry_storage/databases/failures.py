"""What the database says when it fails, in the words of this library."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from registry_storage.errors import (
    CatalogError,
    CatalogUnavailable,
    InvalidInput,
    NoSpace,
    RegistryError,
)

_NO_VALUES = (exc.DataError, UnicodeEncodeError, OverflowError)
"""Of text or a number that the database cannot even look for: NUL, half a character, 10^30."""

RAISED = (exc.SQLAlchemyError, sqlite3.Error, *_NO_VALUES)
"""What `translate` knows."""

# SQLite's primary result codes (https://www.sqlite.org/rescode.html): the low byte of every
# extended code.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

# PostgreSQL's classes of SQLSTATE that pass by themselves: connection exception, transaction
# rollback, insufficient resources, operator intervention.
_PASSING = ("08", "40", "53", "57")
_DISK_FULL = "53100"
_LOCK_NOT_AVAILABLE = "55P03"
_READ_ONLY_TRANSACTION = "25006"


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the database raises inside as `translate` says it."""
    try:
        yield
    except RAISED as error:
        raise translate(error) from error


def translate(error: BaseException) -> BaseException:
    """`error` as `CatalogError` or its kinds, `NoSpace` or, where the database could not take a
    value, `InvalidInput`; as it is, if it is not the database's."""
    if isinstance(error, _NO_VALUES):
        return InvalidInput(f"no name, type or number is like that: {_said(error)}")
    if isinstance(error, sqlite3.Error):
        return _from_sqlite(error)
    if isinstance(error, exc.DBAPIError):
        if isinstance(error.orig, sqlite3.Error):
            return _from_sqlite(error.orig)
        return _from_postgresql(error)
    if isinstance(error, exc.TimeoutError):
        return CatalogUnavailable("all connections to the database are in use; try again")
    if isinstance(error, exc.SQLAlchemyError):
        return CatalogError(f"the database failed: {error}")
    return error


def _from_sqlite(error: sqlite3.Error) -> RegistryError:
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = extended & 0xFF
    if code == sqlite3.SQLITE_FULL or extended == sqlite3.SQLITE_IOERR_SHMSIZE:
        return NoSpace("the disk that holds the database is full; make room")
    if code in _BUSY:
        return CatalogUnavailable("another program has locked the database; try again")
    if code in _DAMAGED:
        return CatalogError(
            f"the database is damaged ({error}): restore it from a backup or rebuild it"
        )
    if code == sqlite3.SQLITE_IOERR:
        return CatalogError(
            f"the disk failed under the database ({error}, "
            f"{getattr(error, 'sqlite_errorname', 'SQLITE_IOERR')}): check the disk and its quota"
        )
    return CatalogError(f"the database failed: {error}")


def _said(error: BaseException) -> str:
    """In one line, without the statement."""
    return " ".join(str(getattr(error, "orig", error)).split())


def _from_postgresql(error: exc.DBAPIError) -> RegistryError:
    said = _said(error)
    state = sqlstate(error)
    if state == _DISK_FULL:
        return NoSpace(f"the database has no space left: {said}")
    if (
        state.startswith(_PASSING)
        or state in (_LOCK_NOT_AVAILABLE, _READ_ONLY_TRANSACTION)
        or (not state and isinstance(error, exc.OperationalError))
        or error.connection_invalidated
    ):
        return CatalogUnavailable(f"the database cannot answer now: {said}")
    return CatalogError(f"the database failed: {said}")


def sqlstate(error: exc.DBAPIError) -> str:
    """PostgreSQL's five characters, or "" where the server said nothing."""
    return getattr(error.orig, "sqlstate", None) or ""
