"""Alembic's entry: runs revisions on the connection, and in the transaction, of the caller."""

from __future__ import annotations

from alembic import context

schema = context.config.attributes["schema"]
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    version_table=schema.version_table,
    # SQLite has transactional DDL; Alembic assumes that its Python driver commits before each.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
