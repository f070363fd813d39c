"""Compares the tables of a database with those that the code describes."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect


def differences(
    tx: Connection, metadata: MetaData, version_table: str = "alembic_version"
) -> list[Any]:
    """Between the tables and a database, as far as alembic sees them."""
    options = {"compare_type": True, "version_table": version_table}
    return compare_metadata(MigrationContext.configure(tx, opts=options), metadata)


def described(tx: Connection, metadata: MetaData) -> dict[str, list[str]]:
    """The tables, with what `compare_metadata` does not compare."""
    inspector = inspect(tx)
    return {
        table: [
            *(
                f"{column['name']} {column['type']} {column['nullable']} {column['default']}"
                for column in inspector.get_columns(table)
            ),
            *sorted(f"{index['name']} {_where(index)}" for index in inspector.get_indexes(table)),
            *sorted(map(str, inspector.get_foreign_keys(table))),
            *sorted(map(str, inspector.get_check_constraints(table))),
            str(inspector.get_pk_constraint(table)),
        ]
        for table in metadata.tables
    }


def _where(index: Any) -> list[str]:
    return [str(condition) for condition in index.get("dialect_options", {}).values()]


def remade(tx: Connection, metadata: MetaData) -> dict[str, list[str]]:
    """As `described`, after all were made anew, of the code."""
    metadata.drop_all(tx)
    metadata.create_all(tx)
    return described(tx, metadata)
