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

# Entries of the audit log go by their age, and are never changed.
_REFUSE_CHANGES_ON_SQLITE = """
CREATE TRIGGER hub_audit_is_never_changed BEFORE UPDATE ON hub_audit
BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never changed'); END
"""
_REFUSE_CHANGES_ON_POSTGRESQL = """
CREATE FUNCTION hub_refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'entries of the audit log are never changed'; END $$;
CREATE TRIGGER hub_audit_is_never_changed BEFORE UPDATE ON hub_audit
FOR EACH ROW EXECUTE FUNCTION hub_refuse_change()
"""


def upgrade() -> None:
    """Create all tables."""
    _create_people()
    _create_namespaces()
    _create_grants_and_robots()
    _create_logins()
    _create_links()
    _create_keys()
    _create_the_audit_log()


def _create_people() -> None:
    op.create_table(
        "hub_users",
        sa.Column("id", key(), primary_key=True),
        sa.Column("name", text(), nullable=False, unique=True),
        sa.Column("full_name", text(), nullable=False, server_default=""),
        sa.Column("email", text(), nullable=False, server_default=""),
        sa.Column("password_hash", text()),
        sa.Column("is_admin", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("last_seen_at", sa.BigInteger()),
        sa.Column("totp_seed", sa.LargeBinary()),
        sa.Column("totp_confirmed_at", sa.BigInteger()),
        sa.Column("totp_last_step", sa.BigInteger()),
    )
    op.create_table(
        "hub_login_failures",
        sa.Column("name", text(), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_hub_login_failures_failed_at", "hub_login_failures", ["failed_at"])
    op.create_table(
        "hub_identities",
        sa.Column("issuer", text(), primary_key=True),
        sa.Column("subject", text(), primary_key=True),
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
    )
    op.create_index("ix_hub_identities_user_id", "hub_identities", ["user_id"])
    op.create_table(
        "hub_recovery_codes",
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id"), primary_key=True),
        sa.Column("hash", sa.LargeBinary(), primary_key=True),
    )


def _create_namespaces() -> None:
    op.create_table(
        "hub_namespaces",
        sa.Column("name", text(), primary_key=True),
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id"), unique=True),
        sa.Column("full_name", text(), nullable=False, server_default=""),
        sa.Column("description", text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
    )
    op.create_table(
        "hub_members",
        sa.Column("namespace", text(), sa.ForeignKey("hub_namespaces.name"), primary_key=True),
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id"), primary_key=True),
        sa.Column("role", text()),
        sa.Column("source", text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
    )
    op.create_index("ix_hub_members_user_id", "hub_members", ["user_id"])
    op.create_table(
        "hub_teams",
        sa.Column("id", key(), primary_key=True),
        sa.Column("namespace", text(), sa.ForeignKey("hub_namespaces.name"), nullable=False),
        sa.Column("name", text(), nullable=False),
        sa.Column("description", text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.UniqueConstraint("namespace", "name"),
    )
    op.create_table(
        "hub_team_members",
        sa.Column("team_id", key(), sa.ForeignKey("hub_teams.id"), primary_key=True),
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id"), primary_key=True),
        sa.Column("source", text(), nullable=False, server_default=""),
    )
    op.create_index("ix_hub_team_members_user_id", "hub_team_members", ["user_id"])


def _create_grants_and_robots() -> None:
    op.create_table(
        "hub_grants",
        sa.Column("id", key(), primary_key=True),
        sa.Column("namespace", text(), sa.ForeignKey("hub_namespaces.name"), nullable=False),
        sa.Column("repository", text(), nullable=False),
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id")),
        sa.Column("team_id", key(), sa.ForeignKey("hub_teams.id")),
        sa.Column("role", text(), nullable=False),
        sa.CheckConstraint("(user_id IS NULL) <> (team_id IS NULL)", name="one_holder"),
        sa.UniqueConstraint("namespace", "repository", "user_id"),
        sa.UniqueConstraint("namespace", "repository", "team_id"),
    )
    op.create_index("ix_hub_grants_team_id", "hub_grants", ["team_id"])
    op.create_index("ix_hub_grants_user_id", "hub_grants", ["user_id"])
    op.create_table(
        "hub_robots",
        sa.Column("id", key(), primary_key=True),
        sa.Column("namespace", text(), sa.ForeignKey("hub_namespaces.name"), nullable=False),
        sa.Column("name", text(), nullable=False),
        sa.Column("description", text(), nullable=False, server_default=""),
        sa.Column("hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("used_at", sa.BigInteger()),
        sa.Column("used_from", text(), nullable=False, server_default=""),
        sa.UniqueConstraint("namespace", "name"),
    )


def _create_logins() -> None:
    op.create_table(
        "hub_sessions",
        sa.Column("id", text(), primary_key=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("seen_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("origin", text(), nullable=False, server_default=""),
        sa.Column("user_agent", text(), nullable=False, server_default=""),
    )
    op.create_index("ix_hub_sessions_expires_at", "hub_sessions", ["expires_at"])
    op.create_index("ix_hub_sessions_user_id", "hub_sessions", ["user_id"])
    op.create_table(
        "hub_access_tokens",
        sa.Column("id", text(), primary_key=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id"), nullable=False),
        sa.Column("name", text(), nullable=False),
        sa.Column("limits", sa.JSON()),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("used_at", sa.BigInteger()),
        sa.Column("used_from", text(), nullable=False, server_default=""),
        sa.UniqueConstraint("user_id", "name"),
    )
    op.create_table(
        "hub_refresh_tokens",
        sa.Column("id", text(), primary_key=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id")),
        sa.Column("robot_id", key(), sa.ForeignKey("hub_robots.id")),
        sa.Column("access_token_id", text(), sa.ForeignKey("hub_access_tokens.id")),
        sa.Column("service", text(), nullable=False),
        sa.Column("client_id", text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.Column("used_from", text(), nullable=False, server_default=""),
        sa.CheckConstraint("(user_id IS NULL) <> (robot_id IS NULL)", name="one_holder"),
    )
    op.create_index(
        "ix_hub_refresh_tokens_access_token_id", "hub_refresh_tokens", ["access_token_id"]
    )
    op.create_index("ix_hub_refresh_tokens_expires_at", "hub_refresh_tokens", ["expires_at"])
    op.create_index("ix_hub_refresh_tokens_robot_id", "hub_refresh_tokens", ["robot_id"])
    op.create_index("ix_hub_refresh_tokens_user_id", "hub_refresh_tokens", ["user_id"])


def _create_links() -> None:
    op.create_table(
        "hub_links",
        sa.Column("id", text(), primary_key=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("purpose", text(), nullable=False),
        sa.Column("user_id", key(), sa.ForeignKey("hub_users.id")),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("made_by", text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_hub_links_expires_at", "hub_links", ["expires_at"])
    op.create_index("ix_hub_links_user_id", "hub_links", ["user_id"])


def _create_keys() -> None:
    op.create_table(
        "hub_keys",
        sa.Column("kid", text(), primary_key=True),
        sa.Column("algorithm", text(), nullable=False),
        sa.Column("private_key", text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("signs_from", sa.BigInteger(), nullable=False),
        sa.Column("published_until", sa.BigInteger()),
    )


def _create_the_audit_log() -> None:
    op.create_table(
        "hub_audit",
        sa.Column("id", key(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False, server_default=db_now()),
        sa.Column("actor", text(), nullable=False),
        sa.Column("origin", text(), nullable=False, server_default=""),
        sa.Column("action", text(), nullable=False),
        sa.Column("target", text(), nullable=False),
        sa.Column("namespace", text(), nullable=False, server_default=""),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("request_id", text(), nullable=False, server_default=""),
    )
    op.create_index("ix_hub_audit_action", "hub_audit", ["action", "at", "id"])
    op.create_index("ix_hub_audit_actor", "hub_audit", ["actor", "at", "id"])
    op.create_index("ix_hub_audit_at", "hub_audit", ["at", "id"])
    op.create_index("ix_hub_audit_namespace", "hub_audit", ["namespace", "at", "id"])
    op.create_index("ix_hub_audit_target", "hub_audit", ["target", "at", "id"])
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(_REFUSE_CHANGES_ON_SQLITE if on_sqlite else _REFUSE_CHANGES_ON_POSTGRESQL)
    op.create_table(
        "hub_readers",
        sa.Column("name", text(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
    )
