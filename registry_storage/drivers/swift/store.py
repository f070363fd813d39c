"""Every operation of the driver.  Blocking.

    PREFIX/
      blobs/<id>                       a blob's bytes, or the manifest of its segments
      marks/…                          what somebody has vouched for
      uploads/<id>                     empty: an upload is under way
      segments/<id>/<number>-<nonce>   a part; in the container for segments, and it stays there

While `uploads/<id>` is there parts may come; it goes when the blob is published or the upload
aborted.  Segments without it and without a blob are what a crash, or a listing that lagged behind,
has left: they are listed as an upload, so that whoever aborts old uploads removes them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from heapq import merge
from itertools import groupby
from threading import Lock
from typing import Final

from registry_storage.drivers._object_layout import (
    BLOBS,
    FOREIGN_TREE,
    UPLOADS,
    Place,
    is_empty,
    place_of,
    stored_blobs,
)
from registry_storage.drivers.api import BlobKind, Buffers, Handle, Mark, Part, StoredBlob
from registry_storage.drivers.swift.account import Account, Cluster
from registry_storage.drivers.swift.config import SwiftConfig
from registry_storage.drivers.swift.container import Container, Found, Segment, is_out_of_range
from registry_storage.drivers.swift.reading import Reading
from registry_storage.errors import (
    BlobNotFound,
    DriverError,
    PartLost,
    RangeNotSatisfiable,
    UploadNotFound,
)

SEGMENTS: Final = "segments/"
CLOCKS_MAY_DIFFER_BY: Final = timedelta(minutes=5)

_ID: Final = re.compile(r"[0-9a-f]{32}")
_TOKEN: Final = re.compile(r"(?P<name>[0-9]{7,}-[0-9a-f]{16})\.(?P<etag>[0-9a-f]{32})")
_FOREIGN_TREES: Final = (f"files/{FOREIGN_TREE}", FOREIGN_TREE)
"""Below the prefix: where distribution 2.8 keeps its tree, and where its other drivers would."""


class SwiftStore:
    """Blobs and uploads in one container; its segments may lie in another."""

    def __init__(self, account: Account, config: SwiftConfig, cluster: Cluster) -> None:
        careful = {"conditional_puts": cluster.conditional_puts}
        self._account = account
        self._objects = Container(account, config.container, config.prefix, **careful)
        self._segments = Container(account, config.segments_in, config.prefix, **careful)
        self._locks = [Lock() for _ in range(64)]

    def open(self) -> None:
        """Make the containers where they are missing; refuse a clock that is far off."""
        headers = self._objects.ensure()
        self._segments.ensure()
        if date := headers.get("date"):
            _check_clock(parsedate_to_datetime(date))

    def close(self) -> None:
        """End the connections."""
        self._account.close()

    # Published blobs

    def put(self, place: Place, data: Buffers) -> StoredBlob:
        """Publish a small blob."""
        with self._lock(place.blob_id):
            self._objects.put_once(place.data_key, data)
            return self._vouched(place, sum(map(len, data)))

    def mark(self, blob_id: str, mark: Mark) -> StoredBlob:
        """Vouch for a blob; nothing is moved."""
        place = Place(blob_id, mark)
        with self._lock(blob_id):
            marked = self._vouched(place, self._data(place).size)
            if self._objects.head(place.data_key) is None:  # deleted meanwhile, with older marks
                self._objects.delete(place.mark_key(marked.size))
                raise _nothing_at(place)
            return marked

    def stat(self, place: Place) -> StoredBlob:
        """What is published there."""
        data = self._data(place)
        return self._marked(place, data.size) if place.mark else _unmarked(place, data)

    def read(self, place: Place, start: int, stop: int | None) -> Reading:
        """Bytes of a blob, from the store's answer."""
        if stop is not None and stop <= start:
            return self._nothing_to_read(place, start)
        whole = start == 0 and stop is None
        byte_range = None if whole else f"{start}-{'' if stop is None else stop - 1}"
        try:
            opened = self._objects.open(place.data_key, byte_range)
        except DriverError as error:
            if is_out_of_range(error):
                return self._nothing_to_read(place, start)
            raise
        if opened is None:
            raise _nothing_at(place)
        if not whole and not opened.headers.get("content-range", "").startswith(f"bytes {start}-"):
            self._account.release(opened, whole=False)
            raise DriverError(f"the store ignores the range {byte_range} of {place.location}")
        return Reading(self._account, opened, place.location)

    def delete(self, places: Iterable[Place]) -> None:
        """Delete each with its marks and segments."""
        for place in places:
            with self._lock(place.blob_id):
                self._delete(place)

    def walk(self, kind: BlobKind | None) -> Iterator[StoredBlob]:
        """Everything published.

        What nobody has vouched for is looked at: some listings give a manifest's size for its
        blob's.
        """
        for blob in stored_blobs(self._objects.listing, kind):
            if blob.mark is not None:
                yield blob
            elif data := self._objects.head(blob.location):
                yield replace(blob, size=data.size)

    def object_name(self, location: str) -> str | None:
        """The full name of the object that holds a blob's bytes; None: not a location of ours."""
        place = place_of(location)
        return self._objects.full_name(place.data_key) if place else None

    # Uploads

    def begin(self, blob_id: str) -> Handle:
        """Begin an upload; its handle is the blob's id."""
        self._objects.put(UPLOADS + blob_id, [])
        return blob_id

    def put_part(self, handle: Handle, number: int, offset: int, data: Buffers) -> Part:
        """Store a part as a segment of its own; what is empty needs none."""
        folder = _folder(handle)
        size, token = sum(map(len, data)), ""
        if size:
            name = f"{number:07}-{secrets.token_hex(8)}"
            token = f"{name}.{self._segments.put(folder + name, data)}"
        if not self._is_under_way(handle):  # aborted meanwhile, perhaps before this came
            if size:
                self._segments.delete(folder + name)
            raise _no_upload(handle)
        return Part(number, offset, size, token)

    def commit(self, handle: Handle, parts: Sequence[Part], mark: Mark | None) -> StoredBlob:
        """Publish the parts, then drop what is left of the upload."""
        folder = _folder(handle)
        place = Place(handle, mark)
        segments = [_segment(folder, part) for part in parts if part.size]
        with self._lock(handle):
            if self._objects.head(place.data_key, newest=True) is None:
                if not self._is_under_way(handle):
                    raise _no_upload(handle)
                self._publish(place, segments)
            blob = self._vouched(place, sum(segment.size for segment in segments))
            self._delete_segments(handle, keep={segment.key for segment in segments})
            self._objects.delete(UPLOADS + handle)
            return blob

    def abort(self, handle: Handle) -> None:
        """Forget an upload, but not the blob that it has published."""
        if not _ID.fullmatch(handle):
            return
        self._objects.delete(UPLOADS + handle)
        if self._objects.head(BLOBS + handle, newest=True) is None:
            self._delete_segments(handle)

    def uploads(self, older_than: datetime) -> Iterator[Handle]:
        """Uploads under way, and segments that belong to nothing."""
        begun = self._ids_below(UPLOADS)
        with_parts = ((each, None) for each in self._segments.folders(SEGMENTS) if _is_id(each))
        published = (blob_id for blob_id, _ in self._ids_below(BLOBS))
        for handle, since in _without(published, _with_times(begun, with_parts)):
            since = since or self._first_part_stored_at(handle)
            # The listing of blobs may lag behind.
            if since < older_than and self._objects.head(BLOBS + handle, newest=True) is None:
                yield handle

    def foreign_tree(self) -> bool:
        """Whether distribution's tree is here."""
        return not all(is_empty(self._objects.listing, tree) for tree in _FOREIGN_TREES)

    # Helpers

    def _lock(self, blob_id: str) -> Lock:
        """Held while a blob is published, marked or deleted, so that repetitions find the first."""
        return self._locks[hash(blob_id) % len(self._locks)]

    def _data(self, place: Place) -> Found:
        if data := self._objects.head(place.data_key):
            return data
        raise _nothing_at(place)

    def _vouched(self, place: Place, size: int) -> StoredBlob:
        """What was published, with its mark written if it is to have one."""
        if place.mark is None:
            return _unmarked(place, self._data(place))
        self._objects.put_once(place.mark_key(size), [])
        return self._marked(place, size)

    def _marked(self, place: Place, size: int) -> StoredBlob:
        if mark := self._objects.head(place.mark_key(size)):
            return StoredBlob(place.location, size, place.mark, mark.stored_at)
        raise _nothing_at(place)

    def _publish(self, place: Place, segments: Sequence[Segment]) -> None:
        if segments:
            self._objects.put_manifest(place.data_key, self._segments, segments)
        else:
            self._objects.put_once(place.data_key, [])

    def _delete(self, place: Place) -> None:
        """Marks first: where a mark is, the bytes are.  Segments last: nobody finds them now."""
        data = self._objects.head(place.data_key)
        for key in self._mark_keys(place, data):
            self._objects.delete(key)
        if data is not None:
            self._objects.delete(place.data_key)
            if data.is_manifest:
                self._delete_segments(place.blob_id)

    def _mark_keys(self, place: Place, data: Found | None) -> list[str]:
        """Of its mark; of any that was written meanwhile where the place names none."""
        if place.mark is not None and data is not None:
            return [place.mark_key(data.size)]
        listings = map(self._objects.listing, place.mark_prefixes())
        return [listed.key for listing in listings for listed in listing]

    def _delete_segments(self, handle: Handle, keep: Iterable[str] = ()) -> None:
        for listed in list(self._segments.listing(_folder(handle))):
            if listed.key not in keep:
                self._segments.delete(listed.key)

    def _is_under_way(self, handle: Handle) -> bool:
        return self._objects.head(UPLOADS + handle, newest=True) is not None

    def _nothing_to_read(self, place: Place, start: int) -> Reading:
        size = self._data(place).size
        if start > size:
            raise RangeNotSatisfiable(
                f"{place.location} has {size} bytes, so none at {start}",
                size=size,
                location=place.location,
            )
        return Reading(self._account, None, place.location)

    def _ids_below(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        for listed in self._objects.listing(prefix):
            if _is_id(name := listed.key[len(prefix) :]):
                yield name, listed.stored_at

    def _first_part_stored_at(self, handle: Handle) -> datetime:
        """Now, where the parts have gone meanwhile."""
        first = next(self._segments.listing(_folder(handle)), None)
        return first.stored_at if first else datetime.now(UTC)


def _with_times(
    begun: Iterable[tuple[str, datetime]], with_parts: Iterable[tuple[str, None]]
) -> Iterator[tuple[str, datetime | None]]:
    """Every id once, in order, with when it was begun if that is known."""
    both = merge(begun, with_parts, key=lambda item: item[0])
    for blob_id, items in groupby(both, key=lambda item: item[0]):
        yield blob_id, next((since for _, since in items if since), None)


def _without(
    published: Iterator[str], items: Iterable[tuple[str, datetime | None]]
) -> Iterator[tuple[str, datetime | None]]:
    """The items whose ids are not published; all are in order."""
    reached = next(published, None)
    for item in items:
        while reached is not None and reached < item[0]:
            reached = next(published, None)
        if reached != item[0]:
            yield item


def _segment(folder: str, part: Part) -> Segment:
    if found := _TOKEN.fullmatch(part.token):
        return Segment(folder + found["name"], found["etag"], part.size)
    raise PartLost(f"part {part.number} has a token that this driver did not give: {part.token!r}")


def _folder(handle: Handle) -> str:
    if _is_id(handle):
        return f"{SEGMENTS}{handle}/"
    raise _no_upload(handle)


def _is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def _no_upload(handle: Handle) -> UploadNotFound:
    return UploadNotFound(f"there is no upload {handle!r}")


def _unmarked(place: Place, data: Found) -> StoredBlob:
    return StoredBlob(place.location, data.size, None, data.stored_at)


def _nothing_at(place: Place) -> BlobNotFound:
    return BlobNotFound(f"nothing is stored at {place.location}", location=place.location)


def _check_clock(theirs: datetime) -> None:
    """What is old enough to be swept is told by comparing the store's times with ours."""
    apart = abs(datetime.now(UTC) - theirs)
    if apart > CLOCKS_MAY_DIFFER_BY:
        raise DriverError(
            f"this host's clock and the store's differ by {apart}: set them right (NTP)"
        )
