"""Every error this library raises on purpose.

    RegistryError
    ├── InvalidInput                what the caller sent is malformed; sending it again cannot help
    │   ├── NameInvalid             a repository name outside the grammar
    │   ├── TagInvalid              a tag outside the grammar
    │   ├── DigestInvalid           a digest outside the grammar, or one the bytes do not have
    │   ├── SizeInvalid             fewer or more bytes than announced
    │   ├── ManifestInvalid         a manifest that cannot be accepted
    │   │   ├── ManifestTooLarge
    │   │   └── ManifestBlobUnknown   … because it names what the repository does not hold
    │   └── ConfigurationInvalid    a setting that is wrong; the message names its full path
    ├── NotFound
    │   ├── RepositoryUnknown
    │   ├── ManifestUnknown
    │   ├── BlobUnknown             the repository holds no such blob
    │   └── UploadUnknown
    ├── UploadConflict              the chunk does not continue the upload, or another got ahead
    ├── BodyInterrupted             the client left in mid-body; raised by callers' data
    ├── ContentInUse                something still names what was to be deleted
    ├── TagExists                   the caller may make new tags but not move this one
    ├── RepositoryExists            the name is taken
    ├── QuotaExceeded               a namespace would hold more than it may
    ├── TooManyUploads              a subject has too many uploads open
    ├── StoreMismatch               catalog and store do not belong together
    ├── CatalogError                the catalog's database failed
    │   └── CatalogUnavailable      … but may answer when asked again
    └── DriverError                 the driver failed
        ├── BlobNotFound            nothing is published at that location
        ├── RangeNotSatisfiable     the blob is shorter than the first byte asked for
        ├── PartLost                a part named in a commit is gone or was replaced
        ├── UploadNotFound          the driver no longer holds that upload
        ├── AccessDenied            the backend refused the credentials or the operation
        ├── NoSpace                 the backend is full
        ├── ReadOnlyStore           the store was opened for reading only
        ├── SdkMissing              the driver's SDK is not installed; the message names the extra
        └── TransientError          the same call may succeed later
            ├── Throttled
            ├── DriverTimeout
            └── DriverUnavailable

Messages are written for the person who reads them in a terminal or in their client's output: they
name what is wrong and, where there is something to do, what to do.  None of these knows HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence


class RegistryError(Exception):
    """Root of everything this library raises on purpose."""


class InvalidInput(RegistryError):
    """What the caller sent is malformed; sending it again cannot help."""


class NameInvalid(InvalidInput):
    """A repository name outside the grammar of the distribution spec."""


class TagInvalid(InvalidInput):
    """A tag outside the grammar of the distribution spec."""


class DigestInvalid(InvalidInput):
    """A digest that is malformed, of an unsupported algorithm, or not that of the bytes."""


class SizeInvalid(InvalidInput):
    """Fewer or more bytes arrived than were announced."""


class ManifestInvalid(InvalidInput):
    """A manifest that cannot be accepted; the message says why."""


class ManifestTooLarge(ManifestInvalid):
    """A manifest above the size limit."""


class ManifestBlobUnknown(ManifestInvalid):
    """A manifest that names content which its repository does not hold.

    `missing` lists the digests, in the order in which the manifest names them.
    """

    def __init__(self, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(f"the repository does not hold {', '.join(self.missing)}; push it first")


class ConfigurationInvalid(InvalidInput):
    """A setting that is wrong; the message begins with its full path."""


class NotFound(RegistryError):
    """What was asked for is not here, or not visible from where it was asked for."""


class RepositoryUnknown(NotFound):
    """No repository has that name."""


class ManifestUnknown(NotFound):
    """The repository holds no such manifest or tag."""


class BlobUnknown(NotFound):
    """The repository holds no such blob."""


class UploadUnknown(NotFound):
    """The repository has no such upload, or it has expired."""


class UploadConflict(RegistryError):
    """The chunk does not continue the upload, or another request advanced it meanwhile.

    `offset` is the number of bytes that the upload holds now: where the client should go on.
    """

    def __init__(self, offset: int, message: str) -> None:
        self.offset = offset
        super().__init__(message)


class BodyInterrupted(RegistryError):
    """The client left before its body ended.

    Raised by the iterables of bytes that callers pass in (`ConnectionError` and `EOFError` mean the
    same); an upload keeps what came, and passes it on when that is stored.
    """


class ContentInUse(RegistryError):
    """Something still names what was to be deleted; `user` is the digest that does."""

    def __init__(self, digest: str, user: str) -> None:
        self.digest = digest
        self.user = user
        super().__init__(f"{digest} is in use by {user}; delete that first")


class TagExists(RegistryError):
    """The tag names another manifest already, and the caller may only make new tags."""


class RepositoryExists(RegistryError):
    """The name that a repository was to get is another's."""


class QuotaExceeded(RegistryError):
    """A namespace would hold more than it may: `used` of `limit`, both counted in `unit`."""

    def __init__(self, namespace: str, used: int, limit: int, unit: str) -> None:
        self.namespace = namespace
        self.used = used
        self.limit = limit
        self.unit = unit
        """"bytes" or "repositories"."""
        super().__init__(
            f"namespace {namespace or '(none)'} may hold {limit} {unit}, and would hold {used}: "
            "delete something, or ask for more"
        )


class TooManyUploads(RegistryError):
    """A subject has as many uploads open as it may have."""


class StoreMismatch(RegistryError):
    """The catalog and the store do not belong together; the message says what resolves it."""


class CatalogError(RegistryError):
    """The catalog's database failed."""


class CatalogUnavailable(CatalogError):
    """The catalog's database did not answer, but may when asked again."""


class DriverError(RegistryError):
    """A storage driver failed; `location` is what it was working on, if anything."""

    def __init__(self, message: str, *, location: str | None = None) -> None:
        self.location = location
        super().__init__(message)


class BlobNotFound(DriverError):
    """Nothing is published at that location."""


class RangeNotSatisfiable(DriverError):
    """The blob is shorter than the first byte asked for; `size` is its length in bytes."""

    def __init__(self, message: str, *, size: int, location: str | None = None) -> None:
        self.size = size
        super().__init__(message, location=location)


class PartLost(DriverError):
    """A part named in a commit is gone, or its bytes were replaced."""


class UploadNotFound(DriverError):
    """The driver no longer holds that upload."""


class AccessDenied(DriverError):
    """The backend refused the credentials or the operation."""


class NoSpace(DriverError):
    """The backend has no room for the bytes."""


class ReadOnlyStore(DriverError):
    """The store was opened for reading only."""


class SdkMissing(DriverError):
    """The driver's SDK is not installed; the message names the extra that brings it."""


class TransientError(DriverError):
    """The same call may succeed later; the only class that is ever retried."""


class Throttled(TransientError):
    """The backend asked for fewer requests."""


class DriverTimeout(TransientError):
    """The backend did not answer in time."""


class DriverUnavailable(TransientError):
    """The backend could not be reached, or failed on its side."""
