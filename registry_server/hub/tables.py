"""The hub's tables: people, and what they may do.

    users ─┬─ identities        who they are at an OpenID provider or in a directory
           ├─ recovery_codes    of the second factor
           ├─ sessions          of browsers
           ├─ access_tokens     personal, scoped, for programs
           └─ refresh_tokens    of clients that logged in and keep no password
    login_failures              of a name in a row, and how long it is locked for that
    links                       that work once: an invitation, a new password, the first admin
    namespaces ─┬─ members      of an organisation, each with a role
                ├─ teams ── team_members
                ├─ grants       a role on a repository, or on all, for a user or a team
                └─ robots       accounts of programs, which belong to an organisation
    keys                        that sign tokens
    audit                       who did what to what, from where; only ever added to
    readers                     how far a reader of the catalog's events has come

A namespace is the first component of repositories' names; users and organisations share one list of
names.  Secrets are here as hashes only, but for the keys that sign and the second factor's seed.
Times are milliseconds since the epoch in the database's clock (`db_now`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)
from sqlalchemy.sql import expression

from registry_storage.databases import NAMING_CONVENTION, db_now
from registry_storage.databases import byte_ordered_text as _text
from registry_storage.databases import surrogate_key as _id

metadata = MetaData(naming_convention=NAMING_CONVENTION)


def _created_at() -> Column[int]:
    return Column("created_at", BigInteger, nullable=False, server_default=db_now())


def _user(**kw: Any) -> Column[int]:
    return Column("user_id", _id(), ForeignKey("hub_users.id"), **{"nullable": False, **kw})


def _namespace(**kw: Any) -> Column[str]:
    return Column(
        "namespace", _text(), ForeignKey("hub_namespaces.name"), **{"nullable": False, **kw}
    )


users = Table(
    "hub_users",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("name", _text(), nullable=False, unique=True),
    Column("full_name", _text(), nullable=False, server_default=""),
    Column("email", _text(), nullable=False, server_default=""),
    # Null where they log in elsewhere only, or have not chosen one yet.
    Column("password_hash", _text()),
    Column("is_admin", Boolean, nullable=False, server_default=expression.false()),
    _created_at(),
    Column("disabled_at", BigInteger),
    Column("last_seen_at", BigInteger),
    # The seed of the second factor; in force once the user has shown a code of it.
    Column("totp_seed", LargeBinary),
    Column("totp_confirmed_at", BigInteger),
    # The time step of the last code taken: none is taken twice.
    Column("totp_last_step", BigInteger),
)

login_failures = Table(
    "hub_login_failures",
    metadata,
    # Of users and of names that nobody has: who fails must not learn which it is.
    Column("name", _text(), primary_key=True),
    # In a row; while locked, the right password is refused, too.
    Column("failures", Integer, nullable=False),
    Column("failed_at", BigInteger, nullable=False),
    Column("locked_until", BigInteger, nullable=False),
    Index("ix_hub_login_failures_failed_at", "failed_at"),
)

identities = Table(
    "hub_identities",
    metadata,
    # The issuer of an OpenID provider, or the URL of a directory.
    Column("issuer", _text(), primary_key=True),
    Column("subject", _text(), primary_key=True),
    _user(),
    _created_at(),
    Index("ix_hub_identities_user_id", "user_id"),
)

recovery_codes = Table(
    "hub_recovery_codes",
    metadata,
    _user(primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
)

sessions = Table(
    "hub_sessions",
    metadata,
    # What a user may see of it; the cookie holds a secret of which only the hash is here.
    Column("id", _text(), primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    _user(),
    _created_at(),
    Column("seen_at", BigInteger, nullable=False, server_default=db_now()),
    Column("expires_at", BigInteger, nullable=False),
    Column("origin", _text(), nullable=False, server_default=""),
    Column("user_agent", _text(), nullable=False, server_default=""),
    Index("ix_hub_sessions_user_id", "user_id"),
    Index("ix_hub_sessions_expires_at", "expires_at"),
)

access_tokens = Table(
    "hub_access_tokens",
    metadata,
    Column("id", _text(), primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    _user(),
    Column("name", _text(), nullable=False),
    # What it narrows its user's rights to: a list of {"repositories": glob, "role": role}; null:
    # to nothing less than all of them.
    Column("limits", JSON(none_as_null=True)),
    _created_at(),
    Column("expires_at", BigInteger),
    Column("used_at", BigInteger),
    Column("used_from", _text(), nullable=False, server_default=""),
    UniqueConstraint("user_id", "name"),
)

refresh_tokens = Table(
    "hub_refresh_tokens",
    metadata,
    Column("id", _text(), primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    # Of one of these; what ends with it is revoked, too.
    _user(nullable=True),
    Column("robot_id", _id(), ForeignKey("hub_robots.id")),
    Column("access_token_id", _text(), ForeignKey("hub_access_tokens.id")),
    Column("service", _text(), nullable=False),
    Column("client_id", _text(), nullable=False, server_default=""),
    _created_at(),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("used_from", _text(), nullable=False, server_default=""),
    CheckConstraint("(user_id IS NULL) <> (robot_id IS NULL)", name="one_holder"),
    Index("ix_hub_refresh_tokens_user_id", "user_id"),
    Index("ix_hub_refresh_tokens_robot_id", "robot_id"),
    Index("ix_hub_refresh_tokens_access_token_id", "access_token_id"),
    Index("ix_hub_refresh_tokens_expires_at", "expires_at"),
)

links = Table(
    "hub_links",
    metadata,
    Column("id", _text(), primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    # "first-admin", "invitation", "password"; "second-factor": the password was right
    Column("purpose", _text(), nullable=False),
    # Whose password it sets; null where it makes an account.
    _user(nullable=True),
    # What whoever it invites becomes: {"organisation": …, "role": …} and the like.
    Column("details", JSON, nullable=False),
    Column("made_by", _text(), nullable=False, server_default=""),
    _created_at(),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_hub_links_user_id", "user_id"),
    Index("ix_hub_links_expires_at", "expires_at"),
)

namespaces = Table(
    "hub_namespaces",
    metadata,
    Column("name", _text(), primary_key=True),
    # Its owner; null: an organisation.
    Column("user_id", _id(), ForeignKey("hub_users.id"), unique=True),
    Column("full_name", _text(), nullable=False, server_default=""),
    Column("description", _text(), nullable=False, server_default=""),
    _created_at(),
)

members = Table(
    "hub_members",
    metadata,
    _namespace(primary_key=True),
    _user(primary_key=True),
    # On all repositories; null: none but by teams and grants.
    Column("role", _text()),
    # "" by hand; else whose groups it follows, and it goes when they say so.
    Column("source", _text(), nullable=False, server_default=""),
    _created_at(),
    Index("ix_hub_members_user_id", "user_id"),
)

teams = Table(
    "hub_teams",
    metadata,
    Column("id", _id(), primary_key=True),
    _namespace(),
    Column("name", _text(), nullable=False),
    Column("description", _text(), nullable=False, server_default=""),
    _created_at(),
    UniqueConstraint("namespace", "name"),
)

team_members = Table(
    "hub_team_members",
    metadata,
    Column("team_id", _id(), ForeignKey("hub_teams.id"), primary_key=True),
    _user(primary_key=True),
    Column("source", _text(), nullable=False, server_default=""),
    Index("ix_hub_team_members_user_id", "user_id"),
)

grants = Table(
    "hub_grants",
    metadata,
    Column("id", _id(), primary_key=True),
    _namespace(),
    # Within the namespace; "": all of them.
    Column("repository", _text(), nullable=False),
    _user(nullable=True),
    Column("team_id", _id(), ForeignKey("hub_teams.id")),
    Column("role", _text(), nullable=False),
    CheckConstraint("(user_id IS NULL) <> (team_id IS NULL)", name="one_holder"),
    UniqueConstraint("namespace", "repository", "user_id"),
    UniqueConstraint("namespace", "repository", "team_id"),
    Index("ix_hub_grants_user_id", "user_id"),
    Index("ix_hub_grants_team_id", "team_id"),
)

robots = Table(
    "hub_robots",
    metadata,
    Column("id", _id(), primary_key=True),
    _namespace(),
    Column("name", _text(), nullable=False),
    Column("description", _text(), nullable=False, server_default=""),
    Column("hash", LargeBinary, nullable=False, unique=True),
    # What it may do in its namespace: a list of {"repositories": glob, "role": role}.
    Column("limits", JSON, nullable=False),
    _created_at(),
    Column("expires_at", BigInteger),
    Column("disabled_at", BigInteger),
    Column("used_at", BigInteger),
    Column("used_from", _text(), nullable=False, server_default=""),
    UniqueConstraint("namespace", "name"),
)

keys = Table(
    "hub_keys",
    metadata,
    # Its thumbprint (RFC 7638).
    Column("kid", _text(), primary_key=True),
    Column("algorithm", _text(), nullable=False),
    # PKCS #8, PEM.
    Column("private_key", _text(), nullable=False),
    _created_at(),
    # From when it signs: every node has seen it by then.
    Column("signs_from", BigInteger, nullable=False),
    # Until when what it signed may still be valid; null while it signs.
    Column("published_until", BigInteger),
)

audit = Table(
    "hub_audit",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("at", BigInteger, nullable=False, server_default=db_now()),
    Column("actor", _text(), nullable=False),
    Column("origin", _text(), nullable=False, server_default=""),
    # Such as "user.login", "tag.set".
    Column("action", _text(), nullable=False),
    # Such as "user:ann", "repository:team/app".
    Column("target", _text(), nullable=False),
    Column("namespace", _text(), nullable=False, server_default=""),
    Column("details", JSON, nullable=False),
    Column("request_id", _text(), nullable=False, server_default=""),
    Index("ix_hub_audit_at", "at", "id"),
    Index("ix_hub_audit_actor", "actor", "at", "id"),
    Index("ix_hub_audit_target", "target", "at", "id"),
    Index("ix_hub_audit_namespace", "namespace", "at", "id"),
    Index("ix_hub_audit_action", "action", "at", "id"),
)

readers = Table(
    "hub_readers",
    metadata,
    Column("name", _text(), primary_key=True),
    Column("position", BigInteger, nullable=False),
)
