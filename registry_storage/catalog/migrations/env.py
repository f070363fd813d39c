"""Alembic's entry: runs revisions on the connection, and in the transaction, of the caller.

To draft a revision: `alembic revision --autogenerate` needs a connection in the configuration's
attributes, too; the test of the migrations shows how one is made.
"""

from __future__ import annotations

from alembic import context

from registry_storage.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite has transactional DDL; Alembic assumes that its Python driver commits before each.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
