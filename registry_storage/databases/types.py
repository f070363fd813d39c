"""What columns are made of.  Migrations use these too, so they never change their meaning."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

NAMING_CONVENTION: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""What constraints and indexes are called: the same on every database, so migrations find them."""


class db_now(FunctionElement[int]):
    """The database's clock at this statement, in milliseconds since the epoch."""

    type = BigInteger()
    inherit_cache = True


@compiles(db_now, "sqlite")
def _sqlite_now(_element: db_now, _compiler: Any, **_kw: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(db_now, "postgresql")
def _postgresql_now(_element: db_now, _compiler: Any, **_kw: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


def byte_ordered_text() -> TypeEngine[str]:
    """Text in byte order: the spec's order, whatever the database's collation."""
    return Text().with_variant(Text(collation="C"), "postgresql")


def surrogate_key() -> TypeEngine[int]:
    """A number for a row; SQLite numbers rows only in a column that says INTEGER."""
    return BigInteger().with_variant(Integer(), "sqlite")
