"""What the mirror's names say.  Pure.

    <id>                             the location of a blob that nobody has vouched for yet
    <id>.<kind>.<algorithm>.<hex>    … that has been marked
    ["…",null]                       a handle, or a part's token: one of each store, in their order

A location names no store: each store's own follows from blob id and mark by its `location_of`.  So
stores can be exchanged, added and moved in the order, and no row of a catalog changes.  Back from a
store's listing it goes the same way: where the location of a probe shows the probe's id, that of a
blob shows the blob's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from registry_storage.digest import Digest
from registry_storage.drivers._naming import flat_name, parse_flat_name
from registry_storage.drivers.api import BlobKind, Driver, Handle, Mark, StoredBlob
from registry_storage.errors import (
    BlobNotFound,
    ConfigurationInvalid,
    DriverError,
    PartLost,
    UploadNotFound,
)

PROBE: Final = "5d0c3fa8e61b49f7a2d4c9b80e7f1635"
"""An id that is nobody's."""

_ID_LENGTH = 32
_HEX_RUNS = re.compile(rf"[0-9a-f]{{{_ID_LENGTH},}}")

Names = tuple[str | None, ...]
"""One name of each store; None: that store has no part in it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A published blob, as its location names it."""

    blob_id: str
    mark: Mark | None

    @property
    def location(self) -> str:
        """The mirror's."""
        return flat_name(self.blob_id, self.mark)

    def within(self, driver: Driver) -> str:
        """The location in one of the stores."""
        return driver.location_of(self.blob_id, self.mark)


def parse_location(location: str) -> Place:
    """The place that `location` names.  Raises `BlobNotFound`: nothing lies at what is not one."""
    if place := place_of(location):
        return place
    raise BlobNotFound(f"{location!r} is not a location of a mirror", location=location)


def place_of(location: str) -> Place | None:
    """The place that `location` names, if it names one."""
    named = parse_flat_name(location)
    return Place(*named) if named else None


def place_in(driver: Driver, blob: StoredBlob) -> Place:
    """The place of a blob that one of the stores has answered or listed."""
    start = driver.location_of(PROBE, blob.mark).find(PROBE)
    place = Place(blob.location[start : start + _ID_LENGTH], blob.mark)
    if place.within(driver) != blob.location:
        raise DriverError(
            f"{blob.location} of the {driver.name} store is not named by its blob's id, so it "
            "cannot be mirrored",
            location=blob.location,
        )
    return place


def check_shows_ids(driver: Driver) -> None:
    """Raises `ConfigurationInvalid` for a driver whose locations do not show the blob's id."""
    marks = [None, Mark(BlobKind.BLOB, Digest.of(b""))]
    if not all(PROBE in driver.location_of(PROBE, mark) for mark in marks):
        raise ConfigurationInvalid(
            f"mirror: locations of the {driver.name} driver do not show the blob's id; leave that "
            "store out"
        )


def join_names(names: Iterable[str | None]) -> str:
    """The mirror's handle or token."""
    return json.dumps(list(names), separators=(",", ":"))


def split_handle(handle: Handle, stores: int) -> Names:
    """Each store's handle.  Raises `UploadNotFound` for what is none of the mirror's."""
    names = _split(handle, stores)
    if names is None or not any(names):
        raise UploadNotFound(f"{handle!r} is not an upload of a mirror")
    return names


def split_token(token: str, stores: int) -> Names:
    """Each store's token.  Raises `PartLost` for what is none of the mirror's."""
    names = _split(token, stores)
    if names is None:
        raise PartLost(f"{token!r} names no part of a mirror")
    return names


def joined_uploads(listings: Sequence[Iterable[Handle]]) -> list[Handle]:
    """The mirror's handles, from each store's: those that show the same blob id belong together.

    Every driver's handle shows it, for it is all that a commit in another process has.
    """
    uploads: list[list[str | None]] = []
    by_id: dict[str, list[str | None]] = {}
    for index, handles in enumerate(listings):
        for handle in handles:
            shown = _ids_in(handle)
            free = (by_id[one] for one in shown if one in by_id and by_id[one][index] is None)
            upload = next(free, None)
            if upload is None:
                upload = [None] * len(listings)
                uploads.append(upload)
            upload[index] = handle
            for one in shown:
                by_id.setdefault(one, upload)
    return [join_names(upload) for upload in uploads]


def _split(text: str, stores: int) -> Names | None:
    try:
        names = json.loads(text)
    except ValueError:
        return None
    if not isinstance(names, list) or not all(isinstance(n, str | None) for n in names):
        return None
    return tuple((names + [None] * stores)[:stores])


def _ids_in(handle: Handle) -> list[str]:
    """Whatever in the handle may be a blob id."""
    return [
        run[start : start + _ID_LENGTH]
        for run in _HEX_RUNS.findall(handle)
        for start in range(len(run) - _ID_LENGTH + 1)
    ]
