"""The first schema.

Revision ID: 1_0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from registry_storage.databases.types import byte_ordered_text as text
from registry_storage.databases.types import db_now
from registry_storage.databases.types import surrogate_key as key

revision = "1_0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    _create_what_repositories_share()
    _create_repositories_contents()
    _create_references()
    _create_uploads()
    _create_housekeeping()
    _create_events()


def _create_what_repositories_share() -> None:
    op.create_table(
        "repositories",
        sa.Column("id", key(), primary_key=True),
        sa.Column("name", text(), nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
    )
    op.create_table(
        "blobs",
        sa.Column("digest", text(), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("location", text(), nullable=False),
        sa.Column("driver", text(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False, server_default=db_now()),
    )
    op.create_index("ix_blobs_location", "blobs", ["location"])
    op.create_table(
        "manifest_payloads",
        sa.Column("digest", text(), primary_key=True),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("location", text(), nullable=False),
        sa.Column("driver", text(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False, server_default=db_now()),
    )
    op.create_index("ix_manifest_payloads_location", "manifest_payloads", ["location"])


def _create_repositories_contents() -> None:
    op.create_table(
        "repository_blobs",
        sa.Column("repository_id", key(), sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("digest", text(), sa.ForeignKey("blobs.digest"), primary_key=True),
        sa.Column("linked_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.Column("unreferenced_since", sa.BigInteger()),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_repository_blobs_digest", "repository_blobs", ["digest"])
    op.create_index(
        "ix_repository_blobs_unreferenced_since", "repository_blobs", ["unreferenced_since"]
    )
    op.create_table(
        "manifests",
        sa.Column("repository_id", key(), sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("digest", text(), sa.ForeignKey("manifest_payloads.digest"), primary_key=True),
        sa.Column("media_type", text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("subject", text()),
        sa.Column("artifact_type", text()),
        sa.Column("annotations", sa.JSON()),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.Column("unreferenced_since", sa.BigInteger()),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_manifests_digest", "manifests", ["digest"])
    op.create_index("ix_manifests_subject", "manifests", ["repository_id", "subject", "digest"])
    op.create_index("ix_manifests_unreferenced_since", "manifests", ["unreferenced_since"])
    op.create_table(
        "tags",
        sa.Column("repository_id", key(), sa.ForeignKey("repositories.id"), primary_key=True),
        sa.Column("name", text(), primary_key=True),
        sa.Column("digest", text(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.ForeignKeyConstraint(
            ["repository_id", "digest"], ["manifests.repository_id", "manifests.digest"]
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tags_digest", "tags", ["repository_id", "digest"])


def _create_references() -> None:
    op.create_table(
        "manifest_blobs",
        sa.Column("repository_id", key(), primary_key=True),
        sa.Column("manifest", text(), primary_key=True),
        sa.Column("blob", text(), primary_key=True),
        sa.ForeignKeyConstraint(
            ["repository_id", "blob"], ["repository_blobs.repository_id", "repository_blobs.digest"]
        ),
        sa.ForeignKeyConstraint(
            ["repository_id", "manifest"], ["manifests.repository_id", "manifests.digest"]
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_manifest_blobs_blob", "manifest_blobs", ["repository_id", "blob"])
    op.create_table(
        "manifest_children",
        sa.Column("repository_id", key(), primary_key=True),
        sa.Column("parent", text(), primary_key=True),
        sa.Column("child", text(), primary_key=True),
        sa.ForeignKeyConstraint(
            ["repository_id", "child"], ["manifests.repository_id", "manifests.digest"]
        ),
        sa.ForeignKeyConstraint(
            ["repository_id", "parent"], ["manifests.repository_id", "manifests.digest"]
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_manifest_children_child", "manifest_children", ["repository_id", "child"])
    op.create_table(
        "reference_digests",
        sa.Column("repository_id", key(), primary_key=True),
        sa.Column("manifest", text(), primary_key=True),
        sa.Column("digest", text(), primary_key=True),
        sa.Column("role", text(), primary_key=True),
        sa.ForeignKeyConstraint(
            ["repository_id", "manifest"], ["manifests.repository_id", "manifests.digest"]
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_reference_digests_digest", "reference_digests", ["repository_id", "digest"])


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", text(), primary_key=True),
        sa.Column("repository_id", key(), sa.ForeignKey("repositories.id"), nullable=False),
        sa.Column("subject", text(), nullable=False),
        sa.Column("state", text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("offset", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("algorithm", text(), nullable=False),
        sa.Column("hash_state", sa.LargeBinary()),
        sa.Column("handle", text()),
        sa.Column("next_part", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("part_size", sa.BigInteger()),
        sa.Column("location", text()),
        sa.Column("digest", text()),
        sa.Column("size", sa.BigInteger()),
        sa.Column("began_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    op.create_index("ix_uploads_handle", "uploads", ["handle"])
    op.create_index("ix_uploads_location", "uploads", ["location"])
    op.create_index("ix_uploads_repository_id", "uploads", ["repository_id"])
    op.create_index("ix_uploads_subject", "uploads", ["subject", "state"])
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", text(), sa.ForeignKey("uploads.id"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("token", text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "upload_tails",
        sa.Column("upload_id", text(), sa.ForeignKey("uploads.id"), primary_key=True),
        sa.Column("offset", sa.BigInteger(), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary()),
        sa.Column("location", text()),
        sa.CheckConstraint("(data IS NULL) <> (location IS NULL)", name="one_place"),
    )
    op.create_index("ix_upload_tails_location", "upload_tails", ["location"])


def _create_housekeeping() -> None:
    op.create_table(
        "store",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("store_id", text(), nullable=False),
        sa.Column("current_token", text()),
        sa.Column("next_token", text()),
        sa.Column("adopted_at", sa.BigInteger()),
        sa.CheckConstraint("id = 1", name="single"),
    )
    op.create_table(
        "garbage",
        sa.Column("location", text(), primary_key=True),
        sa.Column("driver", text(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_garbage_not_before", "garbage", ["not_before"])
    op.create_table(
        "leases",
        sa.Column("name", text(), primary_key=True),
        sa.Column("holder", text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
    )


def _create_events() -> None:
    unnumbered = sa.text("position IS NULL")
    op.create_table(
        "events",
        sa.Column("id", key(), primary_key=True),
        sa.Column("position", sa.BigInteger(), unique=True),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("kind", text(), nullable=False),
        sa.Column("repository", text()),
        sa.Column("actor", text(), nullable=False, server_default=""),
        sa.Column("details", sa.JSON(), nullable=False),
    )
    op.create_index(
        "ix_events_unnumbered",
        "events",
        ["id"],
        sqlite_where=unnumbered,
        postgresql_where=unnumbered,
    )
    op.create_table(
        "journal_blobs",
        sa.Column("location", text(), primary_key=True),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
    )
