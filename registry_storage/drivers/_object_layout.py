"""Names of keys in an object store, and back from listings to what is stored.

    ROOT/
      blobs/<id>                                   a blob's bytes, where they were uploaded
      marks/<kind>/<id>.<algorithm>.<hex>.<size>   empty: somebody has vouched for that blob
      uploads/…                                    parts, where a store keeps them as objects

Bytes are never copied: to mark a blob is to write a second, empty key.  Its name says everything,
so that a listing of marks of one kind needs nothing else, however many blobs there are; joined with
the listing of the bytes it also tells what nobody has vouched for.  A mark is written after its
blob's bytes and deleted before them, so where a mark is, the bytes are.

Keys here are relative to the root; a driver puts `root_prefix` before them.  Pure: the listings
come from the driver.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import Final

from registry_storage.drivers._naming import (
    ALGORITHM,
    HEX,
    ID,
    KIND,
    flat_name,
    mark_in,
    parse_flat_name,
)
from registry_storage.drivers.api import BlobKind, Mark, StoredBlob
from registry_storage.errors import BlobNotFound, DriverError

BLOBS: Final = "blobs/"
MARKS: Final = "marks/"
UPLOADS: Final = "uploads/"
FOREIGN_TREE: Final = "docker/registry/v2/"
"""Where distribution keeps its tree, and so does Harbor."""

_DATA_KEY = re.compile(rf"{BLOBS}{ID}")
_MARK_KEY = re.compile(rf"{MARKS}{KIND}/{ID}\.{ALGORITHM}\.{HEX}\.(?P<size>[0-9]{{1,19}})")


@dataclass(frozen=True, slots=True)
class Listed:
    """A key that a listing gave."""

    key: str
    """Relative to the root."""
    size: int
    stored_at: datetime
    """Aware, UTC."""


Listing = Callable[[str], Iterator[Listed]]
"""`listing(prefix)`: the keys that begin so, in the order of their bytes."""


@dataclass(frozen=True, slots=True)
class Place:
    """A published blob's place: what its location says."""

    blob_id: str
    mark: Mark | None

    @property
    def location(self) -> str:
        """Begins with the key of the bytes, for whoever looks at the store by hand."""
        return f"{BLOBS}{flat_name(self.blob_id, self.mark)}"

    @property
    def data_key(self) -> str:
        """The key of the blob's bytes, marked or not."""
        return f"{BLOBS}{self.blob_id}"

    def mark_key(self, size: int) -> str:
        """The key of the mark of a blob of that many bytes.  Only for a marked place."""
        return f"{self.mark_prefixes()[0]}{size}"

    def mark_prefixes(self) -> list[str]:
        """What the keys of the blob's marks begin with: of this mark, or of any if there is none.

        Whoever deletes an unmarked location has to look for marks that were written meanwhile.
        """
        if self.mark is None:
            return [f"{_marks_of(kind)}{self.blob_id}." for kind in BlobKind]
        digest = self.mark.digest
        mark = f"{self.blob_id}.{digest.algorithm}.{digest.hex}."
        return [f"{_marks_of(self.mark.kind)}{mark}"]


def root_prefix(rootdirectory: str) -> str:
    """What keys below `rootdirectory` begin with: it with one slash at its end, or nothing."""
    inner = rootdirectory.strip("/")
    return f"{inner}/" if inner else ""


def parse_location(location: str) -> Place:
    """The place that `location` names.  Raises `BlobNotFound`: nothing lies at what is not one."""
    if place := place_of(location):
        return place
    raise BlobNotFound(f"{location!r} is not a location of this store", location=location)


def place_of(location: str) -> Place | None:
    """The place that `location` names, if it names one."""
    named = parse_flat_name(location.removeprefix(BLOBS)) if location.startswith(BLOBS) else None
    return Place(*named) if named else None


def stored_blobs(listing: Listing, kind: BlobKind | None) -> Iterator[StoredBlob]:
    """What `list_blobs` gives; each blob once, by id.

    Raises `DriverError` where the listing is out of order: a blob would seem to have no mark.
    """
    if kind is not None:
        return _marked_blobs(listing, kind)
    marked = merge(*(_marked_blobs(listing, each) for each in BlobKind), key=_blob_id)
    return _joined(_unmarked_blobs(listing), marked)


def is_empty(listing: Listing, prefix: str) -> bool:
    """Whether no key begins so."""
    return next(listing(prefix), None) is None


def _marks_of(kind: BlobKind) -> str:
    return f"{MARKS}{kind}/"


def _marked_blobs(listing: Listing, kind: BlobKind) -> Iterator[StoredBlob]:
    for found, listed in _matching(_MARK_KEY, listing(_marks_of(kind))):
        if mark := mark_in(found):
            location = Place(found["id"], mark).location
            yield StoredBlob(location, int(found["size"]), mark, listed.stored_at)


def _unmarked_blobs(listing: Listing) -> Iterator[StoredBlob]:
    """Every blob's bytes, as if nobody had vouched for any."""
    for _, listed in _matching(_DATA_KEY, listing(BLOBS)):
        yield StoredBlob(listed.key, listed.size, None, listed.stored_at)


def _joined(unmarked: Iterable[StoredBlob], marked: Iterable[StoredBlob]) -> Iterator[StoredBlob]:
    """Both, by id, and of each id only the first: a mark comes before the bare bytes."""
    last = ""
    for blob in merge(marked, unmarked, key=_blob_id):
        if _blob_id(blob) != last:
            last = _blob_id(blob)
            yield blob


def _blob_id(blob: StoredBlob) -> str:
    return blob.location[len(BLOBS) : len(BLOBS) + 32]


def _matching(
    pattern: re.Pattern[str], keys: Iterator[Listed]
) -> Iterator[tuple[re.Match[str], Listed]]:
    """The keys of that shape; they must come in order."""
    last = ""
    for listed in keys:
        if found := pattern.fullmatch(listed.key):
            if listed.key <= last:
                raise DriverError(
                    f"the store lists {listed.key} after {last}: this driver needs listings in "
                    "the order of the keys' bytes"
                )
            last = listed.key
            yield found, listed
