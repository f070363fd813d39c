"""The facade: a store of images, opened from a driver and a catalog.

    async with await Registry.open("filesystem", {"rootdirectory": "images"}) as registry:
        repository = registry.repository("team/app")
        manifest = await repository.manifest("latest")

`Registry` and `Repository` are all that the server, a script or a test needs; the services behind
them are private.  `registry_storage.sync` offers the same calls without `await`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry_storage.digest import Digest
from registry_storage.drivers.api import Buffer, Driver


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
class StorePolicy:
    """What a store accepts, and for how long it keeps its promises.  Times in seconds."""

    lease: float = 3600.0
    """How long content that nothing refers to is kept after a client was told that it exists."""
    upload_lifetime: float = 7 * 24 * 3600.0
    """How long an unfinished upload is kept after its last chunk."""
    garbage_delay: float = 2 * 3600.0
    """Longer than any read under way and any presigned URL: then the bytes of deleted content go."""
    max_open_uploads: int = 100
    """Of one subject at a time."""
    max_manifest_size: int = 4 * 1024 * 1024
    read_only: bool = False


class Repository:
    """One repository of a store.  Making one touches nothing; it need not exist yet."""

    name: str

    # Blobs

    async def blob(self, digest: Digest) -> BlobInfo:
        """Where the blob is.  Raises `BlobUnknown`.  Never writes: what a GET calls."""

    async def promise_blob(self, digest: Digest) -> BlobInfo:
        """As `blob`, and keeps it for a lease from now: what a HEAD calls."""

    def read_blob(
        self, blob: BlobInfo, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes [start, stop) in pieces.  On entering: `BlobUnknown`, `RangeNotSatisfiable`."""

    def blob_path(self, blob: BlobInfo) -> Path | None:
        """The local file that holds exactly the blob's bytes, where the driver has one."""

    async def blob_url(self, blob: BlobInfo, valid_for: float) -> str | None:
        """A URL at which the backend serves the blob for `valid_for` seconds, where it can."""

    async def put_blob(
        self, data: bytes | AsyncIterable[Buffer], digest: Digest | None = None
    ) -> BlobInfo:
        """Store a blob whole.  Raises `DigestInvalid` if the bytes have another digest."""

    async def mount_blob(self, digest: Digest, source: str | None) -> BlobInfo | None:
        """Link a blob that repository `source` holds; None: not there (push it).

        Who may read `source` is for the caller to decide; `source` None never mounts.
        """

    async def delete_blob(self, digest: Digest) -> None:
        """Raises `BlobUnknown`, `ContentInUse`."""

    # Uploads

    async def begin_upload(self, *, subject: str = "", algorithm: str = "sha256") -> UploadStatus:
        """Open an upload session for `subject`.  Raises `TooManyUploads`."""

    async def upload(self, upload_id: str, *, subject: str = "") -> UploadStatus:
        """Raises `UploadUnknown`, also for another repository's or another subject's session."""

    async def append_upload(
        self,
        upload_id: str,
        data: AsyncIterable[Buffer],
        *,
        subject: str = "",
        start: int | None = None,
        size: int | None = None,
    ) -> UploadStatus:
        """Add a chunk.  `start` and `size` are what the client announced, where it did.

        Data that breaks off keeps what came.  Raises `UploadConflict` (with the true offset) where
        `start` is not where the upload stands or another request advanced it, `SizeInvalid`.
        """

    async def finish_upload(
        self,
        upload_id: str,
        digest: Digest,
        data: AsyncIterable[Buffer],
        *,
        subject: str = "",
        start: int | None = None,
        size: int | None = None,
    ) -> BlobInfo:
        """Add the last chunk (it may be empty), check the digest, publish and link the blob.

        Repeated after a success it answers the same for an hour.  Raises `DigestInvalid` (the session
        is gone then), `UploadConflict`, `UploadUnknown`, `SizeInvalid`.
        """

    async def cancel_upload(self, upload_id: str, *, subject: str = "") -> None:
        """Raises `UploadUnknown`."""

    # Manifests and tags

    async def manifest(self, reference: Digest | str) -> Manifest:
        """By digest or tag.  Raises `ManifestUnknown`."""

    async def promise_manifest(self, reference: Digest | str) -> Manifest:
        """As `manifest`, and keeps it for a lease from now: what a HEAD calls."""

    async def put_manifest(
        self,
        payload: bytes,
        media_type: str | None = None,
        *,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        may_move_tags: bool = True,
    ) -> PushedManifest:
        """Store a manifest and point `tags` at it, all or nothing.

        Raises `ManifestInvalid` and its kinds, `DigestInvalid` if `digest` is not its digest,
        `TagExists` where a tag names another manifest and `may_move_tags` is false.
        """

    async def delete_manifest(self, digest: Digest) -> None:
        """And the tags that name it.  Raises `ManifestUnknown`, `ContentInUse`."""

    async def delete_tag(self, tag: str) -> None:
        """The manifest stays.  Raises `ManifestUnknown`."""

    async def tags(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """Tags above `after`, in byte order.  Raises `RepositoryUnknown`."""

    async def referrers(
        self,
        subject: Digest,
        *,
        artifact_type: str | None = None,
        after: str = "",
        limit: int = 1000,
    ) -> list[Referrer]:
        """Manifests whose subject is that, above digest `after`; empty where there is none."""


class Registry:
    """A store, open: a driver and the catalog that belongs to it."""

    driver: Driver
    policy: StorePolicy

    @classmethod
    async def open(
        cls,
        driver: Driver | str,
        settings: Mapping[str, Any] | None = None,
        *,
        catalog_url: str | None = None,
        policy: StorePolicy | None = None,
    ) -> Registry:
        """Open a store.  `driver` is one that is made, or a name with its `settings`.

        `catalog_url` is an SQLAlchemy URL; None: `catalog.sqlite` inside the filesystem driver's root.
        Raises `ConfigurationInvalid`, `StoreMismatch`, `DriverError`, `CatalogError`.
        """

    async def close(self) -> None:
        """Finish what is under way and free everything."""

    async def __aenter__(self) -> Registry:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def repository(self, name: str) -> Repository:
        """Raises `NameInvalid`; touches nothing else."""

    async def repositories(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """Names of repositories that hold a manifest or a tag, above `after`, in byte order."""

    async def check(self) -> list[str]:
        """Ask catalog and driver; what is wrong, a line each.  Empty: ready to serve."""
