"""The storage driver interface: all that the author of a driver reads.

A driver keeps bytes.  It knows no repositories, tags or garbage collection, and never hashes.  It
holds two kinds of things:

* **published blobs**, immutable, each named by a *location*: an opaque string that the driver
  chooses, derived from a fresh blob id, and never used again;
* **uploads** under way: numbered immutable parts, then one publishing step.

A published blob may carry a *mark*: its kind and digest, written when the core has checked the
hash.  A listing tells marks without opening anything, so that a lost catalog can be rebuilt.

The contract that the docstrings below state is checked, a sentence a test, by the suite in
`registry_storage.testing`; `docs/writing-a-driver.md` walks through a whole driver.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from registry_storage.digest import Digest

KiB = 1024
MiB = 1024 * KiB

Buffer = bytes | bytearray | memoryview
Buffers = Sequence[Buffer]
"""Bytes in memory, in several pieces so that nobody has to join them."""

PartData = AsyncIterable[Buffer]
"""The bytes of a part.  Where `PartLimits.preferred_size` is set it is held in memory and can be
iterated again; where that is None it is the request's stream and can be iterated once.  A buffer is
not changed after it was given out: a driver may write it later, on a thread of its own."""

Handle = str
"""Names an upload under way.  Plain data: it goes through a database to other processes."""

T = TypeVar("T")


class BlobKind(StrEnum):
    """What a rebuild of the catalog must tell apart without opening anything."""

    BLOB = "blob"
    MANIFEST = "manifest"
    JOURNAL = "journal"
    SNAPSHOT = "snapshot"
    MARKER = "marker"


@dataclass(frozen=True, slots=True)
class Mark:
    """What the core vouches for: the bytes are of this kind and have this digest."""

    kind: BlobKind
    digest: Digest


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A published blob: what the methods that publish, `stat_blob` and listings answer."""

    location: str
    """Opaque above the driver; never used again for other bytes."""
    size: int
    """In bytes."""
    mark: Mark | None
    """None: published, but nobody has vouched for the bytes yet."""
    stored_at: datetime
    """Aware, UTC.  Nothing younger than the grace time is ever swept."""


@dataclass(frozen=True, slots=True)
class PartLimits:
    """What the backend accepts as parts of an upload; the core cuts the byte stream to fit.

    All sizes in bytes.
    """

    min_size: int = 1
    """Of every part but the last."""
    max_size: int | None = None
    max_parts: int | None = None
    """Bounds the part *number* (S3 does), so gaps in the numbering shrink the largest blob."""
    preferred_size: int | None = 8 * MiB
    """None: the driver takes a whole request body as one part, as a stream."""
    needs_size: bool = False
    """A part's length must be known before it is sent."""
    uniform: bool = False
    """All parts but the last must be equally long."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stored part.  Immutable: nothing sent later may change the bytes that it names."""

    number: int
    """Increasing within an upload, gaps allowed, given out once."""
    offset: int
    """Position of the part's first byte in the blob."""
    size: int
    token: str = ""
    """ETag, segment name, …: opaque above the driver."""


class Driver(ABC):
    """One store.  Every method raises only from `registry_storage.errors`.

    Cancelling a call leaves no half-published blob and frees its connection.
    """

    name: str
    """The configured name, as entry points know it."""
    limits: PartLimits

    @abstractmethod
    async def start(self) -> None:
        """Open the store; check credentials and reachability.

        An error names what is wrong and what to do.
        """

    @abstractmethod
    async def close(self) -> None:
        """Free what `start` took.  Succeeds when there is nothing to free."""

    @abstractmethod
    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        """The location of the blob with this id and mark.  Pure: touches no backend.

        `blob_id` is 32 lower-case hexadecimal digits.
        """

    # Published blobs

    @abstractmethod
    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        """Publish a small blob at once: a reader sees all of it or `BlobNotFound`.

        `data` is at most `limits.preferred_size` long (8 MiB where that is None), and may be empty.
        Idempotent per blob id: repeated, also at the same time, with equal arguments it answers the
        same.  Two blob ids with equal bytes are two locations.
        """

    @abstractmethod
    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        """Vouch for a blob published without a mark.  The location may change here.

        Idempotent; asked for the old location it answers where the blob lies now.
        Raises `BlobNotFound` if nothing is there.
        """

    @abstractmethod
    def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes from `start` up to, not including, `stop` (None: the end), in pieces.

        `stop` is clipped to the blob's size.  On *entering*, `BlobNotFound` where nothing is
        published, and `RangeNotSatisfiable` where `start` is past the end (`start` equal to the
        size reads nothing).  Leaving the context frees the connection.  A blob deleted meanwhile
        is read to its end or raises; it never just ends early.
        """

    @abstractmethod
    async def stat_blob(self, location: str) -> StoredBlob:
        """What is published there, or `BlobNotFound`."""

    @abstractmethod
    async def delete_blobs(self, locations: Sequence[str]) -> None:
        """Delete each; a location with nothing there is a success.

        Deleting a blob's unmarked location deletes it even if it has been marked meanwhile.
        """

    @abstractmethod
    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        """All published blobs; with a kind, only those marked so.  Any order.

        Each blob that existed throughout appears once.
        """

    # Resumable uploads

    @abstractmethod
    async def begin_upload(self, blob_id: str) -> Handle:
        """Begin an upload that will be published under this blob id."""

    @abstractmethod
    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        """Store a part durably; it counts only when this returns.

        `size` is its length where it is known (always, if `limits.needs_size`), else None.  Data
        that ends early without an error makes a shorter part that counts; data that raises makes
        none, and its error passes through.  Parts may be sent while earlier ones are under way.
        Raises `UploadNotFound` after an abort or a commit.
        """

    @abstractmethod
    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        """Publish the parts, in order, as one blob; leave no part behind, unlisted ones included.

        Idempotent: repeated, also at the same time, with equal arguments it answers the same.
        A part that is gone or was replaced is `PartLost`.  After an abort: `UploadNotFound`.  Once
        the blob was published and then marked or deleted, a repetition may raise `BlobNotFound`
        or, where the store cannot tell that from an abort, `UploadNotFound`.
        """

    @abstractmethod
    async def abort_upload(self, handle: Handle) -> None:
        """Forget the upload and all its parts; succeeds when there is nothing to forget.

        A blob that the upload has published stays.
        """

    @abstractmethod
    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        """Uploads begun before that time and not yet published, in any order.

        Byte for byte as `begin_upload` named them.
        """

    def extension(self, kind: type[T]) -> T | None:
        """The optional ability `kind` of this store, if it has it.  Wrappers pass it on."""
        return self if isinstance(self, kind) else None


@runtime_checkable
class LocalFiles(Protocol):
    """Extension: published blobs are plain local files, so a server may use sendfile."""

    def blob_path(self, location: str) -> Path:
        """Where the file of a published blob lies.  Pure: it may be gone by now."""


@runtime_checkable
class Redirects(Protocol):
    """Extension: a client may fetch a blob from the backend itself."""

    async def blob_url(self, location: str, valid_for: float, method: str = "GET") -> str | None:
        """A URL that serves the blob to anyone for `valid_for` seconds; None: serve it yourself."""


@runtime_checkable
class ForeignData(Protocol):
    """Extension: the store's root may hold something that this project has not written."""

    async def describe(self) -> str | None:
        """What is there, for a message ("a distribution tree"), or None."""


@runtime_checkable
class CatalogHome(Protocol):
    """Extension: the store says where its catalog lives, unless the configuration does."""

    def catalog_directory(self) -> Path | None:
        """A directory of the store's own that exists once the driver has started.

        None: the store ends with the process, and so must its catalog.
        """


@dataclass(frozen=True, slots=True)
class RepairProgress:
    """How far a walk over a store of several copies has come."""

    blobs: int
    """Found in any of the copies."""
    lacking: int
    """Of these, such as not every copy holds."""
    repaired: int
    """Of the lacking, so far."""
    failures: tuple[str, ...] = ()
    """Why the others were not, so far: a line each."""


@runtime_checkable
class Repairs(Protocol):
    """Extension: the store keeps several copies, and can give each what it lacks."""

    def repair(self) -> AsyncIterator[RepairProgress]:
        """Walk over everything; progress now and then, and at the end.

        Raises `TransientError` where a copy cannot be listed.
        """
