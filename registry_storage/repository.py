"""One repository of a store: its blobs, uploads, manifests and tags.

Every call is one step: it has happened whole, and durably, when it returns, or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from registry_storage.bytes_cache import BytesCache
from registry_storage.catalog import Catalog, blobs, manifests, referrers, tag_facts, tags
from registry_storage.catalog.blobs import BlobRow
from registry_storage.catalog.manifests import ManifestRecord, ManifestRow
from registry_storage.digest import Digest
from registry_storage.drivers.api import (
    BlobKind,
    Buffer,
    Driver,
    KiB,
    LocalFiles,
    Mark,
    Redirects,
)
from registry_storage.errors import (
    BlobNotFound,
    BlobUnknown,
    DigestInvalid,
    ManifestTooLarge,
    ManifestUnknown,
    ReadOnlyStore,
    RepositoryUnknown,
)
from registry_storage.manifests import ManifestRules, ParsedManifest, parse_manifest
from registry_storage.names import parse_tag
from registry_storage.policy import StorePolicy
from registry_storage.pull_counter import PullCounter
from registry_storage.uploads import Uploads
from registry_storage.uploads.context import milliseconds
from registry_storage.values import (
    BlobInfo,
    Manifest,
    PushedManifest,
    Referrer,
    TagFacts,
    UploadStatus,
)

SMALL_BLOB: Final = 64 * KiB
"""Blobs up to this size are served from memory where they are remembered."""

LARGE_MANIFEST: Final = 64 * KiB
"""Manifests above this size are understood on a thread."""


@dataclass(frozen=True, slots=True)
class Store:
    """What all repositories of an open store share."""

    driver: Driver
    catalog: Catalog
    policy: StorePolicy
    uploads: Uploads
    pulls: PullCounter
    cache: BytesCache
    files: LocalFiles | None
    redirects: Redirects | None

    def check_writable(self) -> None:
        """Raise `ReadOnlyStore` where the policy says so."""
        if self.policy.read_only:
            raise ReadOnlyStore("the store is read-only")

    @property
    def lease(self) -> int:
        """In milliseconds, as the catalog counts."""
        return milliseconds(self.policy.lease)

    @property
    def garbage_delay(self) -> int:
        """In milliseconds, as the catalog counts."""
        return milliseconds(self.policy.garbage_delay)


class Repository:
    """One repository of a store.  Making one touches nothing; it need not exist yet."""

    __slots__ = ("_store", "name")

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self.name: Final = name

    # Blobs

    async def blob(self, digest: Digest) -> BlobInfo:
        """Where the blob is.  Raises `BlobUnknown`.  Never writes: what a GET calls."""
        row = await self._store.catalog.pulls.blob(self.name, digest)
        if row is None:
            raise self._blob_unknown(digest)
        return _blob_info(row)

    async def promise_blob(self, digest: Digest) -> BlobInfo:
        """As `blob`, and keeps it for a lease from now: what a HEAD calls."""
        store = self._store
        if store.policy.read_only:
            return await self.blob(digest)
        row = await store.catalog.promise_blob(self.name, digest, lease=store.lease)
        if row is None:
            raise self._blob_unknown(digest)
        return _blob_info(row)

    @asynccontextmanager
    async def read_blob(
        self, blob: BlobInfo, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes [start, stop) in pieces.  On entering: `BlobUnknown`, `RangeNotSatisfiable`."""
        try:
            reader = self._store.driver.read_blob(blob.location, start, stop)
            pieces = await reader.__aenter__()
        except BlobNotFound:
            raise self._blob_unknown(blob.digest) from None
        try:
            yield pieces
        finally:
            await reader.__aexit__(None, None, None)

    async def small_blob(self, blob: BlobInfo) -> bytes | None:
        """All bytes of a blob of at most 64 KiB, from memory if they are there; else None."""
        if blob.size > SMALL_BLOB:
            return None
        data = self._store.cache.get(blob.digest)
        if data is None:
            async with self.read_blob(blob) as pieces:
                data = b"".join([piece async for piece in pieces])
            self._store.cache.add(blob.digest, data)
        return data

    def blob_path(self, blob: BlobInfo) -> Path | None:
        """The local file that holds exactly the blob's bytes, where the driver has one."""
        files = self._store.files
        return files.blob_path(blob.location) if files else None

    async def blob_url(self, blob: BlobInfo, valid_for: float) -> str | None:
        """A URL at which the backend serves the blob for `valid_for` seconds, where it can."""
        redirects = self._store.redirects
        return await redirects.blob_url(blob.location, valid_for) if redirects else None

    async def put_blob(
        self,
        data: bytes | AsyncIterable[Buffer],
        digest: Digest | None = None,
        *,
        actor: str = "",
    ) -> BlobInfo:
        """Store a blob whole.  Raises `DigestInvalid` if the bytes have another digest."""
        self._store.check_writable()
        return _blob_info(await self._store.uploads.put(self.name, data, digest, actor))

    async def mount_blob(self, digest: Digest, source: str, *, actor: str = "") -> BlobInfo | None:
        """Link a blob that repository `source` holds; None: it does not (push the bytes).

        Who may read `source` is for the caller to decide.
        """
        store = self._store
        store.check_writable()
        row = await store.catalog.write(
            blobs.mount, source, self.name, digest, lease=store.lease, actor=actor
        )
        return _blob_info(row) if row else None

    async def delete_blob(self, digest: Digest, *, actor: str = "") -> None:
        """Raises `BlobUnknown`, `ContentInUse`."""
        store = self._store
        store.check_writable()
        await store.catalog.write(
            blobs.delete, self.name, digest, garbage_delay=store.garbage_delay, actor=actor
        )

    def _blob_unknown(self, digest: Digest) -> BlobUnknown:
        return BlobUnknown(f"repository {self.name} holds no blob {digest}")

    # Uploads

    async def begin_upload(self, *, subject: str = "", algorithm: str = "sha256") -> UploadStatus:
        """Open an upload session for `subject`.  Raises `TooManyUploads`."""
        self._store.check_writable()
        return await self._store.uploads.begin(self.name, subject, algorithm)

    async def upload(self, upload_id: str, *, subject: str = "") -> UploadStatus:
        """Raises `UploadUnknown`, also for another repository's or another subject's session."""
        return await self._store.uploads.status(self.name, upload_id, subject)

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
        self._store.check_writable()
        return await self._store.uploads.append(self.name, upload_id, subject, data, start, size)

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

        Repeated after a success it answers the same for an hour.  Raises `DigestInvalid` (the
        session is gone then), `UploadConflict`, `UploadUnknown`, `SizeInvalid`.
        """
        self._store.check_writable()
        row = await self._store.uploads.finish(
            self.name, upload_id, subject, digest, data, start, size
        )
        return _blob_info(row)

    async def cancel_upload(self, upload_id: str, *, subject: str = "") -> None:
        """Raises `UploadUnknown`."""
        self._store.check_writable()
        await self._store.uploads.cancel(self.name, upload_id, subject)

    # Manifests and tags

    async def manifest(self, reference: Digest | str) -> Manifest:
        """By digest or tag.  Raises `ManifestUnknown`.  Never writes: what a GET calls."""
        row = await self._store.catalog.pulls.manifest(self.name, reference)
        return await self._manifest(reference, row)

    def count_pull(self, reference: Digest | str) -> None:
        """A client got the manifest of that tag or digest; written down within some seconds."""
        self._store.pulls.count(self.name, reference)

    async def promise_manifest(self, reference: Digest | str) -> Manifest:
        """As `manifest`, and keeps it for a lease from now: what a HEAD calls."""
        store = self._store
        if store.policy.read_only:
            return await self.manifest(reference)
        row = await store.catalog.promise_manifest(self.name, reference, lease=store.lease)
        return await self._manifest(reference, row)

    async def _manifest(self, reference: Digest | str, row: ManifestRow | None) -> Manifest:
        if row is None:
            raise ManifestUnknown(f"repository {self.name} holds no manifest {reference}")
        payload = self._store.cache.get(row.digest)
        if payload is None:
            payload = await self._store.catalog.pulls.payload(row.digest)
            if payload is None:  # deleted between the two questions
                raise ManifestUnknown(f"repository {self.name} holds no manifest {reference}")
            self._store.cache.add(row.digest, payload)
        return Manifest(Digest(row.digest), row.media_type, payload)

    async def put_manifest(
        self,
        payload: bytes,
        media_type: str | None = None,
        *,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        may_move_tags: bool = True,
        actor: str = "",
    ) -> PushedManifest:
        """Store a manifest and point `tags` at it, all or nothing.

        Raises `ManifestInvalid` and its kinds, `DigestInvalid` if `digest` is not its digest,
        `TagExists` where a tag names another manifest and `may_move_tags` is false.
        """
        store = self._store
        store.check_writable()
        if len(payload) > store.policy.max_manifest_size:
            raise ManifestTooLarge(
                f"the manifest has {len(payload)} bytes; "
                f"{store.policy.max_manifest_size} are allowed"
            )
        names = tuple(dict.fromkeys(parse_tag(tag) for tag in tags))
        understand = partial(_understand, payload, media_type, digest, store.policy.manifests)
        # A large document takes so long that other requests would notice.
        large = len(payload) > LARGE_MANIFEST
        found, parsed = await asyncio.to_thread(understand) if large else understand()
        record = _record(found, parsed, payload, store.driver.name)
        await self._list_manifest(record, names, may_move_tags, actor)
        subject = parsed.subject.digest if parsed.subject else None
        return PushedManifest(found, parsed.media_type, subject, names, len(payload))

    async def _list_manifest(
        self, record: ManifestRecord, names: Sequence[str], may_move_tags: bool, actor: str
    ) -> None:
        """Make the bytes durable in the driver, for the catalog could be lost; then list them."""
        store = self._store
        location = await store.catalog.read(
            manifests.prepare, self.name, record, names, may_move_tags=may_move_tags
        )
        if location is None:
            mark = Mark(BlobKind.MANIFEST, Digest(record.digest))
            stored = await store.driver.put_blob(uuid4().hex, [record.payload], mark)
            location = stored.location
        try:
            await store.catalog.write(
                manifests.put,
                self.name,
                replace(record, location=location),
                names,
                lease=store.lease,
                garbage_delay=store.garbage_delay,
                may_move_tags=may_move_tags,
                actor=actor,
            )
        except BaseException:
            store.uploads.discard(location)
            raise

    async def delete_manifest(self, digest: Digest, *, actor: str = "") -> None:
        """And the tags that name it.  Raises `ManifestUnknown`, `ContentInUse`."""
        store = self._store
        store.check_writable()
        await store.catalog.write(
            manifests.delete,
            self.name,
            digest,
            lease=store.lease,
            garbage_delay=store.garbage_delay,
            actor=actor,
        )

    async def delete_tag(self, tag: str, *, actor: str = "") -> None:
        """The manifest stays.  Raises `ManifestUnknown`."""
        store = self._store
        store.check_writable()
        await store.catalog.write(tags.delete, self.name, tag, lease=store.lease, actor=actor)

    async def tags(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """Tags above `after`, in byte order.  Raises `RepositoryUnknown`."""
        found = await self._store.catalog.read(tags.names, self.name, after, limit)
        if found is None:
            raise RepositoryUnknown(f"there is no repository {self.name}")
        return found

    async def tag_facts(self, *, after: str = "", limit: int = 100) -> list[TagFacts]:
        """As `tags`, with what is known of each."""
        return await self._store.catalog.read(tag_facts.page, self.name, after, limit)

    async def tag(self, name: str) -> TagFacts | None:
        """What is known of one tag; None if there is none of that name."""
        return await self._store.catalog.read(tag_facts.one, self.name, name)

    async def referrers(
        self,
        subject: Digest,
        *,
        artifact_type: str | None = None,
        after: str = "",
        limit: int = 1000,
    ) -> list[Referrer]:
        """Manifests whose subject is that, above digest `after`, in byte order.

        May be fewer than `limit` where their annotations are long: ask on behind the last one
        until there is none.
        """
        rows = await self._store.catalog.read(
            referrers.page, self.name, subject, artifact_type, after, limit
        )
        return [
            Referrer(
                Digest(row.digest),
                row.media_type,
                row.size,
                row.artifact_type,
                row.annotations or {},
            )
            for row in rows
        ]


def _blob_info(row: BlobRow) -> BlobInfo:
    return BlobInfo(Digest(row.digest), row.size, row.location)


def _understand(
    payload: bytes, media_type: str | None, digest: Digest | None, rules: ManifestRules
) -> tuple[Digest, ParsedManifest]:
    found = Digest.of(payload, digest.algorithm if digest else "sha256")
    if digest is not None and found != digest:
        raise DigestInvalid(f"the manifest's digest is {found}, not {digest}")
    return found, parse_manifest(payload, media_type, rules)


def _record(digest: Digest, parsed: ParsedManifest, payload: bytes, driver: str) -> ManifestRecord:
    return ManifestRecord(
        digest=digest,
        media_type=parsed.media_type,
        payload=payload,
        driver=driver,
        blobs=tuple((blob.digest, blob.size) for blob in parsed.blobs),
        optional_blobs=tuple(blob.digest for blob in parsed.optional_blobs),
        children=tuple(child.digest for child in parsed.children),
        optional_children=tuple(child.digest for child in parsed.optional_children),
        subject=parsed.subject.digest if parsed.subject else None,
        artifact_type=parsed.artifact_type,
        annotations=dict(parsed.annotations),
    )
