"""The first schema.

Revision ID: 1_0001
Revises:
"""

from __future__ import annotations

from alembic import op

from registry_server.hub.tables import metadata

revision = "1_0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    metadata.create_all(op.get_bind())
