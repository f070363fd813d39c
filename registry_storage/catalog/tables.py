"""The catalog's tables: facts about repositories, blobs, manifests, tags, uploads and events.

    repositories ─┬─ repository_blobs ──── blobs              who may serve which bytes, and where
                  ├─ manifests ─────────── manifest_payloads  likewise for manifests
                  │    ├─ manifest_blobs        ──► repository_blobs  of the same repository
                  │    ├─ manifest_children     ──► manifests         of the same repository
                  │    └─ reference_digests         by value: what has no bytes here
                  ├─ tags ──► manifests             of the same repository
                  ├─ uploads ─┬─ upload_parts
                  │           └─ upload_tails
                  ├─ redirects              names that it had before
                  └─ pulls                  how often each tag and manifest was pulled
    namespaces       what the repositories of one owner may hold, and how they begin
    store            which driver's store this catalog belongs to
    garbage          locations whose bytes may go, and when
    events           the outbox of every change
    journal_blobs    which positions of the outbox lie in the driver
    leases           who may run a cluster-wide job

References point with composite keys at rows of the *same repository*, and leases are columns of
the row that a deletion would take: a reference to `blobs` alone, or a lease in a table of its own,
loses a blob that a client has just been promised (see the ADR on foreign keys and leases).

Times are milliseconds since the epoch in the *database's* clock (`db_now`), so that clocks of nodes
never decide anything.  Names, tags and digests compare byte by byte on every database.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    false,
    literal_column,
    true,
)

from registry_storage.databases.types import NAMING_CONVENTION
from registry_storage.databases.types import byte_ordered_text as _text
from registry_storage.databases.types import db_now as db_now
from registry_storage.databases.types import surrogate_key as _id

metadata = MetaData(naming_convention=NAMING_CONVENTION)


def _repository(**kw: Any) -> Column[int]:
    return Column(
        "repository_id", _id(), ForeignKey("repositories.id", name=None), nullable=False, **kw
    )


store = Table(
    "store",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("store_id", _text(), nullable=False),
    # The random token of the newest marker in the driver, and the one that is about to replace it.
    Column("current_token", _text()),
    Column("next_token", _text()),
    # Nothing stored before the store was adopted is ever swept.
    Column("adopted_at", BigInteger),
    CheckConstraint("id = 1", name="single"),
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("name", _text(), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False, server_default=db_now()),
    # "private", or "public": everybody may pull
    Column("visibility", _text(), nullable=False, server_default="private"),
    # Whether it holds a manifest, which is what lists of repositories show.
    Column("listed", Boolean, nullable=False, server_default=false()),
    # Of a manifest or a tag; null: never.
    Column("last_pushed_at", BigInteger),
)
IS_LISTED: ColumnElement[bool] = repositories.c.listed == true()
IS_PUBLIC: ColumnElement[bool] = repositories.c.visibility == literal_column("'public'")
"""Literal, for a database uses a partial index only where the question has the index's words."""
for _name, _which in (
    ("listed", IS_LISTED),
    ("public", IS_PUBLIC),
    ("listed_public", IS_LISTED & IS_PUBLIC),
):
    Index(
        f"ix_repositories_{_name}",
        repositories.c.name,
        sqlite_where=_which,
        postgresql_where=_which,
    )

namespaces = Table(
    "namespaces",
    metadata,
    Column("name", _text(), primary_key=True),
    Column("default_visibility", _text(), nullable=False),
    # Null: no limit.
    Column("max_bytes", BigInteger),
    Column("max_repositories", BigInteger),
)

redirects = Table(
    "redirects",
    metadata,
    # A name that the repository had before, and that no other has taken since.
    Column("name", _text(), primary_key=True),
    _repository(),
    Index("ix_redirects_repository_id", "repository_id"),
)

pulls = Table(
    "pulls",
    metadata,
    _repository(primary_key=True),
    # A tag or a digest, as clients asked for it.
    Column("reference", _text(), primary_key=True),
    Column("pulls", BigInteger, nullable=False),
    Column("last_pulled_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", _text(), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("location", _text(), nullable=False),
    Column("driver", _text(), nullable=False),
    Column("stored_at", BigInteger, nullable=False, server_default=db_now()),
    Index("ix_blobs_location", "location"),
)

repository_blobs = Table(
    "repository_blobs",
    metadata,
    _repository(primary_key=True),
    Column("digest", _text(), ForeignKey("blobs.digest"), primary_key=True),
    Column("linked_at", BigInteger, nullable=False, server_default=db_now()),
    # Promised to a client until then, whether or not anything refers to it.
    Column("leased_until", BigInteger, nullable=False),
    # Null while a manifest of this repository refers to it.
    Column("unreferenced_since", BigInteger),
    Index("ix_repository_blobs_digest", "digest"),
    Index("ix_repository_blobs_unreferenced_since", "unreferenced_since"),
    sqlite_with_rowid=False,
)

manifest_payloads = Table(
    "manifest_payloads",
    metadata,
    Column("digest", _text(), primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    Column("location", _text(), nullable=False),
    Column("driver", _text(), nullable=False),
    Column("stored_at", BigInteger, nullable=False, server_default=db_now()),
    Index("ix_manifest_payloads_location", "location"),
)

manifests = Table(
    "manifests",
    metadata,
    _repository(primary_key=True),
    Column("digest", _text(), ForeignKey("manifest_payloads.digest"), primary_key=True),
    Column("media_type", _text(), nullable=False),
    Column("size", BigInteger, nullable=False),
    # What the referrers list shows of it (OCI Distribution Spec 1.1, "Listing Referrers").
    Column("subject", _text()),
    Column("artifact_type", _text()),
    Column("annotations", JSON(none_as_null=True)),
    Column("pushed_at", BigInteger, nullable=False, server_default=db_now()),
    Column("leased_until", BigInteger, nullable=False),
    # Null while something of this repository holds it: a tag, an index, or its own subject.
    Column("unreferenced_since", BigInteger),
    Index("ix_manifests_digest", "digest"),
    Index("ix_manifests_subject", "repository_id", "subject", "digest"),
    Index("ix_manifests_unreferenced_since", "unreferenced_since"),
    sqlite_with_rowid=False,
)


def _of_manifest(column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["repository_id", column], ["manifests.repository_id", "manifests.digest"]
    )


manifest_blobs = Table(
    "manifest_blobs",
    metadata,
    Column("repository_id", _id(), primary_key=True),
    Column("manifest", _text(), primary_key=True),
    Column("blob", _text(), primary_key=True),
    _of_manifest("manifest"),
    ForeignKeyConstraint(
        ["repository_id", "blob"], ["repository_blobs.repository_id", "repository_blobs.digest"]
    ),
    Index("ix_manifest_blobs_blob", "repository_id", "blob"),
    sqlite_with_rowid=False,
)

manifest_children = Table(
    "manifest_children",
    metadata,
    Column("repository_id", _id(), primary_key=True),
    Column("parent", _text(), primary_key=True),
    Column("child", _text(), primary_key=True),
    _of_manifest("parent"),
    _of_manifest("child"),
    Index("ix_manifest_children_child", "repository_id", "child"),
    sqlite_with_rowid=False,
)

reference_digests = Table(
    "reference_digests",
    metadata,
    Column("repository_id", _id(), primary_key=True),
    Column("manifest", _text(), primary_key=True),
    Column("digest", _text(), primary_key=True),
    # "blob": kept elsewhere, by its urls, or not asked for; "child": of a sparse index
    Column("role", _text(), primary_key=True),
    _of_manifest("manifest"),
    Index("ix_reference_digests_digest", "repository_id", "digest"),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    metadata,
    _repository(primary_key=True),
    Column("name", _text(), primary_key=True),
    Column("digest", _text(), nullable=False),
    Column("moved_at", BigInteger, nullable=False, server_default=db_now()),
    _of_manifest("digest"),
    Index("ix_tags_digest", "repository_id", "digest"),
    sqlite_with_rowid=False,
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", _text(), primary_key=True),
    _repository(),
    # Who began it, and alone may go on with it; "" where nobody logs in.
    Column("subject", _text(), nullable=False),
    # open -> committing -> done; open | committing -> aborting.  Each step compares `version`.
    Column("state", _text(), nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
    # Bytes stored so far, in parts and tails.
    Column("offset", BigInteger, nullable=False, server_default="0"),
    Column("algorithm", _text(), nullable=False),
    # While open, of the bytes up to `offset`, null where a host could not advance it: the blob is
    # read again.  From `committing` on `checked`, or null where the digest is still to be proved.
    Column("hash_state", LargeBinary),
    # The driver's name for the upload, once it has one.
    Column("handle", _text()),
    # The number that the next part gets; never given out twice.
    Column("next_part", Integer, nullable=False, server_default="1"),
    # Fixed at the beginning where the store wants equal parts.
    Column("part_size", BigInteger),
    # Of the published blob, from `committing` on.
    Column("location", _text()),
    Column("digest", _text()),
    Column("size", BigInteger),
    Column("began_at", BigInteger, nullable=False, server_default=db_now()),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_uploads_expires_at", "expires_at"),
    Index("ix_uploads_handle", "handle"),
    Index("ix_uploads_location", "location"),
    Index("ix_uploads_subject", "subject", "state"),
    Index("ix_uploads_repository_id", "repository_id"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", _text(), ForeignKey("uploads.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("token", _text(), nullable=False),
    sqlite_with_rowid=False,
)

upload_tails = Table(
    "upload_tails",
    metadata,
    Column("upload_id", _text(), ForeignKey("uploads.id"), primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("size", BigInteger, nullable=False),
    # The bytes are here up to 64 KiB, above that in the driver.
    Column("data", LargeBinary),
    Column("location", _text()),
    CheckConstraint("(data IS NULL) <> (location IS NULL)", name="one_place"),
    Index("ix_upload_tails_location", "location"),
)

garbage = Table(
    "garbage",
    metadata,
    Column("location", _text(), primary_key=True),
    Column("driver", _text(), nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Index("ix_garbage_not_before", "not_before"),
)

events = Table(
    "events",
    metadata,
    Column("id", _id(), primary_key=True),
    # Null until the sequencer has numbered the committed event; readers follow positions, not ids.
    Column("position", BigInteger, unique=True),
    Column("occurred_at", BigInteger, nullable=False, server_default=db_now()),
    Column("kind", _text(), nullable=False),
    Column("repository", _text()),
    Column("actor", _text(), nullable=False, server_default=""),
    Column("details", JSON, nullable=False),
    # The address that the actor's request came from, "" where it is not known.
    Column("origin", _text(), nullable=False, server_default=""),
)
Index(
    "ix_events_unnumbered",
    events.c.id,
    sqlite_where=events.c.position.is_(None),
    postgresql_where=events.c.position.is_(None),
)

journal_blobs = Table(
    "journal_blobs",
    metadata,
    Column("location", _text(), primary_key=True),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", _text(), primary_key=True),
    Column("holder", _text(), nullable=False),
    Column("until", BigInteger, nullable=False),
)
