"""Turns what the operating system says into this project's errors: one table, one place."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    UploadNotFound,
)

_NO_SPACE = "{root} is full ({reason}): free some space there, then try again"
_DENIED = (
    "{root} refuses the operation on {what} ({reason}): give the user of this process the right to "
    "read and write there, and mount it writable"
)
_NO_FILES = "too many files are open ({reason}): raise the limit (ulimit -n) of this process"
_AWAY = "{root} does not answer ({reason}): look at the mount"
_A_LINK = "{what} leads through a link or a file where {root} has a folder ({reason}): remove it"

_TABLE: Final[dict[int, tuple[type[DriverError], str]]] = {
    errno.ENOSPC: (NoSpace, _NO_SPACE),
    errno.EDQUOT: (NoSpace, _NO_SPACE),
    errno.EFBIG: (NoSpace, _NO_SPACE),
    errno.EACCES: (AccessDenied, _DENIED),
    errno.EPERM: (AccessDenied, _DENIED),
    errno.EROFS: (AccessDenied, _DENIED),
    errno.EMFILE: (DriverUnavailable, _NO_FILES),
    errno.ENFILE: (DriverUnavailable, _NO_FILES),
    errno.EBUSY: (DriverUnavailable, "{what} in {root} is in use ({reason}): try again"),
    errno.ESTALE: (DriverUnavailable, _AWAY),
    errno.ENOTCONN: (DriverUnavailable, _AWAY),
    errno.EHOSTDOWN: (DriverUnavailable, _AWAY),
    errno.ETIMEDOUT: (DriverTimeout, _AWAY),
    errno.ELOOP: (DriverError, _A_LINK),
    errno.ENOTDIR: (DriverError, _A_LINK),
}


def translated(error: OSError, root: Path, what: str) -> DriverError:
    """The error of this project for `error`; `what` is the location or handle worked on."""
    kind, message = _TABLE.get(error.errno or 0, (DriverError, "{what} in {root}: {reason}"))
    reason = error.strerror or str(error)
    return kind(message.format(root=root, what=what, reason=reason), location=what)


@contextmanager
def translating(root: Path, what: str) -> Iterator[None]:
    """Raise every `OSError` from inside as an error of this project."""
    try:
        yield
    except OSError as error:
        raise translated(error, root, what) from error


@contextmanager
def blob_at(root: Path, location: str) -> Iterator[None]:
    """As `translating`, for a published blob: what is missing is `BlobNotFound`."""
    try:
        with translating(root, location):
            yield
    except DriverError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise BlobNotFound(f"nothing is stored at {location}", location=location) from None
        raise


@contextmanager
def upload_at(root: Path, handle: str) -> Iterator[None]:
    """As `translating`, for an upload: what is missing is `UploadNotFound`."""
    try:
        with translating(root, f"uploads/{handle}"):
            yield
    except DriverError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise UploadNotFound(f"there is no upload {handle}") from None
        raise
