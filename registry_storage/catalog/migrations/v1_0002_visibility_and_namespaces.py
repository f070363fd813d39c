"""Visibility and lists of repositories, namespaces, redirects, pull counts, origins of events.

What a node of the version before pushes into a new repository is served at once, and listed by
this version with the next push to it.

Revision ID: 1_0002
Revises: 1_0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from registry_storage.databases.types import byte_ordered_text as text
from registry_storage.databases.types import surrogate_key as key

revision = "1_0002"
down_revision = "1_0001"

_PUBLIC = "visibility = 'public'"


def upgrade() -> None:
    """Add columns and tables, and fill in what can be known of what is there."""
    _extend_repositories()
    _create_namespaces()
    _create_redirects_and_pulls()
    op.add_column("events", sa.Column("origin", text(), nullable=False, server_default=""))


def _extend_repositories() -> None:
    for column in (
        sa.Column("visibility", text(), nullable=False, server_default="private"),
        sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("last_pushed_at", sa.BigInteger()),
    ):
        op.add_column("repositories", column)
    op.execute(
        "UPDATE repositories SET last_pushed_at = (SELECT max(pushed_at) FROM manifests "
        "WHERE manifests.repository_id = repositories.id)"
    )
    listed = "listed = 1" if op.get_context().dialect.name == "sqlite" else "listed = true"
    op.execute(f"UPDATE repositories SET {listed} WHERE last_pushed_at IS NOT NULL")
    _index_names("listed", listed)
    _index_names("public", _PUBLIC)
    _index_names("listed_public", f"{listed} AND {_PUBLIC}")


def _index_names(which: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(
        f"ix_repositories_{which}",
        "repositories",
        ["name"],
        sqlite_where=where,
        postgresql_where=where,
    )


def _create_namespaces() -> None:
    op.create_table(
        "namespaces",
        sa.Column("name", text(), primary_key=True),
        sa.Column("default_visibility", text(), nullable=False),
        sa.Column("max_bytes", sa.BigInteger()),
        sa.Column("max_repositories", sa.BigInteger()),
    )


def _create_redirects_and_pulls() -> None:
    op.create_table(
        "redirects",
        sa.Column("name", text(), primary_key=True),
        sa.Column("repository_id", key(), sa.ForeignKey("repositories.id"), nullable=False),
    )
    op.create_index("ix_redirects_repository_id", "redirects", ["repository_id"])
    op.create_table(
        "pulls",
        sa.Column("repository_id", key(), sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("reference", text(), primary_key=True),
        sa.Column("pulls", sa.BigInteger(), nullable=False),
        sa.Column("last_pulled_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
