"""Where things lie below the root, and back from a name to what it means.

    ROOT/
      unmarked/<id>                                  published, nobody has vouched for it yet
      blobs/sha256/ab/abcdef….<id>                   marked; `blobs` is the mark's kind, so also
      manifests/… journals/… snapshots/… markers/…
      uploads/<id>.<begun>/                          an upload under way (begun: µs since 1970)
        <offset>-<nonce>                             a part, under a name of its own
        whole-<nonce>                                parts being joined

A published blob's path below the root is its location; an upload's folder is its handle.  Whatever
else lies in the root belongs to somebody else and is left alone.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from registry_storage.digest import ALGORITHMS
from registry_storage.drivers._naming import ALGORITHM, ID, KIND, mark_in
from registry_storage.drivers.api import BlobKind, Handle, Mark
from registry_storage.errors import BlobNotFound, UploadNotFound

UNMARKED: Final = "unmarked"
UPLOADS: Final = "uploads"
FOREIGN_TREE: Final = "docker/registry/v2"
"""Where distribution keeps its tree, and so does Harbor."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HANDLE = re.compile(rf"{ID}\.(?P<begun>[0-9]{{1,17}})")
_UNMARKED_LOCATION = re.compile(rf"{UNMARKED}/{ID}")
_MARKED_LOCATION = re.compile(
    rf"{KIND}s/{ALGORITHM}/(?P<shard>[0-9a-f]{{2}})/(?P<hex>(?P=shard)[0-9a-f]+)\.{ID}"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A published blob's place: what its location says."""

    blob_id: str
    mark: Mark | None

    @property
    def base(self) -> str:
        """The folder that is there from the start."""
        return base_of(self.mark.kind, self.mark.digest.algorithm) if self.mark else UNMARKED

    @property
    def shard(self) -> str:
        """The folder within `base`, made when it is first needed."""
        return self.mark.digest.hex[:2] if self.mark else "."

    @property
    def name(self) -> str:
        """The file's name within its folder."""
        return f"{self.mark.digest.hex}.{self.blob_id}" if self.mark else self.blob_id

    @property
    def location(self) -> str:
        """The path below the root."""
        return f"{self.base}/{self.shard}/{self.name}" if self.mark else f"{UNMARKED}/{self.name}"


def base_of(kind: BlobKind, algorithm: str) -> str:
    """The folder of the marked blobs of one kind and algorithm."""
    return f"{kind}s/{algorithm}"


def bases() -> list[str]:
    """Every folder that is there from the start, below the root."""
    marked = [base_of(kind, algorithm) for kind in BlobKind for algorithm in ALGORITHMS]
    return [UPLOADS, UNMARKED, *marked]


def parse_location(location: str) -> Place:
    """The place that `location` names.  Raises `BlobNotFound`: nothing lies at what is not one."""
    if place := place_of(location):
        return place
    raise BlobNotFound(f"{location!r} is not a location of this store", location=location)


def place_of(location: str) -> Place | None:
    """The place that `location` names, if it names one."""
    if found := _UNMARKED_LOCATION.fullmatch(location):
        return Place(found["id"], None)
    found = _MARKED_LOCATION.fullmatch(location)
    mark = mark_in(found) if found else None
    return Place(found["id"], mark) if found and mark else None


def is_blob_id(name: str) -> bool:
    """Whether `name` is a blob id: 32 lower-case hexadecimal digits."""
    return re.fullmatch(ID, name) is not None


def is_shard(name: str) -> bool:
    """Whether `name` is that of a shard's folder."""
    return re.fullmatch(r"[0-9a-f]{2}", name) is not None


def new_handle(blob_id: str, begun: datetime) -> Handle:
    """The handle of an upload that begins now."""
    return f"{blob_id}.{(begun - _EPOCH) // timedelta(microseconds=1)}"


def blob_id_of(handle: Handle) -> str:
    """The id under which the upload will be published.  Raises `UploadNotFound`."""
    return _parse_handle(handle)["id"]


def begun_at(handle: Handle) -> datetime:
    """When the upload began.  Raises `UploadNotFound`."""
    return _EPOCH + timedelta(microseconds=int(_parse_handle(handle)["begun"]))


def is_handle(name: str) -> bool:
    """Whether a folder in `uploads/` is an upload's."""
    return _HANDLE.fullmatch(name) is not None


def new_segment(offset: int) -> str:
    """A fresh name for a part's file, so that nothing sent later can replace it."""
    return f"{offset}-{secrets.token_hex(8)}"


def new_whole() -> str:
    """A fresh name for a file in which parts are joined."""
    return f"whole-{secrets.token_hex(8)}"


def is_segment(name: str) -> bool:
    """Whether a part's token can be one that this driver gave out."""
    return re.fullmatch(r"[0-9]+-[0-9a-f]{16}", name) is not None


def _parse_handle(handle: Handle) -> re.Match[str]:
    if found := _HANDLE.fullmatch(handle):
        return found
    raise UploadNotFound(f"{handle!r} is not an upload of this store")
