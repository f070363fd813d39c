"""The values that the facade takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from registry_storage.digest import Digest
from registry_storage.names import namespace_of


class Visibility(StrEnum):
    """Who may pull from a repository, whatever rights they have been given."""

    PRIVATE = "private"
    PUBLIC = "public"


class Actor(str):
    """Who makes a change, by name, and the address that the request came from."""

    __slots__ = ("origin",)

    origin: str
    """"" where it is not known."""

    def __new__(cls, name: str = "", origin: str = "") -> Self:
        actor = super().__new__(cls, name)
        actor.origin = origin
        return actor


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A blob that a repository may serve."""

    digest: Digest
    size: int
    """In bytes."""
    location: str
    """Where it lies in the store; opaque."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest of a repository, byte for byte as it was pushed."""

    digest: Digest
    media_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """What a push of a manifest did."""

    digest: Digest
    media_type: str
    subject: Digest | None
    """Of the manifest, whether or not it is here."""
    tags: tuple[str, ...]
    size: int
    """Of the document, in bytes."""


@dataclass(frozen=True, slots=True)
class Referrer:
    """One descriptor of a referrers list (OCI Distribution Spec 1.1, "Listing Referrers")."""

    digest: Digest
    media_type: str
    size: int
    artifact_type: str | None
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """An upload session, as it stands."""

    id: str
    """32 lower-case hexadecimal digits."""
    offset: int
    """Bytes held, in all: where the client goes on."""
    min_chunk_size: int | None
    """Announced as OCI-Chunk-Min-Length where the store needs it, else None."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a look at catalog and driver has shown, a line each, for people."""

    problems: tuple[str, ...] = ()
    """Why nothing can be served; empty: all is well."""
    notices: tuple[str, ...] = ()
    """What somebody should see to while serving goes on."""


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """What is known of a repository besides its content.  Times in milliseconds since the epoch."""

    name: str
    visibility: Visibility
    created_at: int
    last_pushed_at: int | None
    """When a manifest or a tag was pushed last; None: never."""
    size: int
    """Bytes of its blobs and manifests, each counted once."""
    tags: int
    """How many."""
    pulls: int
    """Of manifests, by tag or digest."""
    last_pulled_at: int | None

    @property
    def namespace(self) -> str:
        """The first component of the name, "" where it has only one."""
        return namespace_of(self.name)


@dataclass(frozen=True, slots=True)
class TagFacts:
    """A tag, and what is known of the manifest it names.  Times as in `RepositoryFacts`."""

    name: str
    digest: Digest
    media_type: str
    size: int
    """Bytes of the manifest and all it refers to in its repository, each counted once."""
    pushed_at: int
    """Of the manifest."""
    moved_at: int
    """When the tag came to name it."""
    pulls: int
    """By this tag."""
    last_pulled_at: int | None


@dataclass(frozen=True, slots=True)
class Namespace:
    """What the repositories of one namespace may hold, and how they begin."""

    name: str
    default_visibility: Visibility = Visibility.PRIVATE
    max_bytes: int | None = None
    """None: no limit."""
    max_repositories: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a namespace holds now."""

    bytes: int
    """Of its blobs and manifests, each counted once however many repositories hold it."""
    repositories: int


@dataclass(frozen=True, slots=True)
class Change:
    """An event: something that was changed, and by whom."""

    position: int
    occurred_at: int
    """Milliseconds since the epoch, of the database's clock."""
    kind: str
    repository: str | None
    actor: str
    origin: str
    """The address that the actor's request came from, "" where it is not known."""
    details: Mapping[str, Any]
