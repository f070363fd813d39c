"""The values that the facade takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry_storage.digest import Digest


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
