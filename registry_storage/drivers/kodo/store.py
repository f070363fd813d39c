"""What the driver promises, in terms of a bucket's objects; every function blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import requests

from registry_storage.drivers._object_layout import Listed, Place, parse_location, place_of
from registry_storage.drivers.api import Handle, KiB, Mark, Part, StoredBlob
from registry_storage.drivers.kodo.failures import reading, refused
from registry_storage.drivers.kodo.service import EXISTS, Bucket, Pieces, Upload
from registry_storage.errors import (
    BlobNotFound,
    DriverUnavailable,
    PartLost,
    RangeNotSatisfiable,
    UploadNotFound,
)

PIECE: Final = 256 * KiB
_HANDLE = re.compile(r"(?P<blob>[0-9a-f]{32})\.(?P<upload>[!-~]+)")


@dataclass(slots=True)
class Download:
    """The bytes of a range, on their way.  None of the connection is left when it is closed."""

    location: str
    response: requests.Response
    _pieces: Iterator[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._pieces = self.response.iter_content(PIECE)

    def next_piece(self) -> bytes:
        """The next bytes; none at the end."""
        with reading("the download domain", self.location):
            return next(self._pieces, b"")

    def close(self) -> None:
        """Free the connection."""
        self.response.close()


# Published blobs


def put(bucket: Bucket, place: Place, data: bytes) -> StoredBlob:
    """Publish a small blob."""
    bucket.put(place.data_key, data)
    return _vouched(bucket, place, len(data))


def vouch(bucket: Bucket, location: str, mark: Mark) -> StoredBlob:
    """Mark the blob; its bytes stay where they are."""
    place = Place(parse_location(location).blob_id, mark)
    return _vouched(bucket, place, _bytes_of(bucket, place).size)


def stat(bucket: Bucket, location: str) -> StoredBlob:
    """What is published there."""
    place = parse_location(location)
    size = _bytes_of(bucket, place).size
    return _found(bucket, place, size)


def read(bucket: Bucket, location: str, start: int, stop: int | None) -> Download | None:
    """The bytes of a range; None where it is empty."""
    place = parse_location(location)
    is_missing = False
    if stop is None or start < stop:
        response = bucket.download(place.data_key, start, stop)
        if response.ok:
            return Download(location, response)
        response.close()
        is_missing = response.status_code == 404
    size = _bytes_of(bucket, place).size
    if is_missing:
        raise DriverUnavailable(
            "the download domain does not find what the bucket holds: check that "
            "storage.kodo.domain is bound to this bucket and, if it is one of the CDN, that it "
            "does not keep answers of 404",
            location=location,
        )
    if start > size:
        raise RangeNotSatisfiable(
            f"{location} has {size} bytes, so none at {start}", size=size, location=location
        )
    return None


def delete(bucket: Bucket, locations: Sequence[str]) -> None:
    """Delete each blob, and its mark before it."""
    places = [place for location in locations if (place := place_of(location))]
    bucket.delete([*_marks_by_size(bucket, places), *_marks_by_listing(bucket, places)])
    bucket.delete([place.data_key for place in places])


# Multipart uploads


def begin(bucket: Bucket, blob_id: str) -> Handle:
    """Begin an upload.  Its handle is all that is ever known of it: Kodo lists none."""
    return f"{blob_id}.{bucket.begin(Place(blob_id, None).data_key).upload_id}"


def put_part(bucket: Bucket, handle: Handle, number: int, pieces: Pieces) -> str:
    """Store a part; its ETag, a hash of its bytes, by which a commit knows it again."""
    etag = bucket.put_part(_upload(handle), number, pieces)
    if etag is None:
        raise _no_upload(handle)
    return etag


def commit(bucket: Bucket, handle: Handle, parts: Sequence[Part], mark: Mark | None) -> StoredBlob:
    """Publish the parts where they were uploaded, then mark them."""
    if parts:
        _complete(bucket, handle, parts)
    else:
        _publish_nothing(bucket, handle)
    return _vouched(bucket, Place(_blob_id(handle), mark), sum(part.size for part in parts))


def abort(bucket: Bucket, handle: Handle) -> None:
    """Forget the upload and its parts; what is no handle of ours names none."""
    if _HANDLE.fullmatch(handle):
        bucket.abort(_upload(handle))


def _complete(bucket: Bucket, handle: Handle, parts: Sequence[Part]) -> None:
    upload = _upload(handle)
    refusal = bucket.complete(upload, parts)
    if refusal is None:
        return
    published = bucket.stat(upload.key)
    if published and published.size == sum(part.size for part in parts):
        if refusal.status == EXISTS:  # by an earlier upload of this id, whose handle was lost
            bucket.abort(upload)
        return
    stored = bucket.parts(upload)
    if stored is None:
        raise _no_upload(handle)
    if lost := [part.number for part in parts if stored.get(part.number) != part.token]:
        raise PartLost(f"upload {handle}: part {lost[0]} is gone, or other bytes replaced it")
    raise refused(refusal, upload.key)


def _publish_nothing(bucket: Bucket, handle: Handle) -> None:
    """Publish the empty blob, which Kodo makes of no parts."""
    upload = _upload(handle)
    if bucket.parts(upload) is not None:
        bucket.put(upload.key, b"")
        bucket.abort(upload)
    elif bucket.stat(upload.key) is None:
        raise _no_upload(handle)


def _upload(handle: Handle) -> Upload:
    if found := _HANDLE.fullmatch(handle):
        return Upload(Place(found["blob"], None).data_key, found["upload"])
    raise _no_upload(handle)


def _blob_id(handle: Handle) -> str:
    return handle.partition(".")[0]


def _no_upload(handle: Handle) -> UploadNotFound:
    return UploadNotFound(f"Kodo has no upload {handle!r}; it keeps unfinished ones for seven days")


# Objects


def _bytes_of(bucket: Bucket, place: Place) -> Listed:
    if found := bucket.stat(place.data_key):
        return found
    raise _not_found(place)


def _vouched(bucket: Bucket, place: Place, size: int) -> StoredBlob:
    """The blob whose bytes are published, once its mark is, if it has one."""
    if place.mark:
        bucket.put(place.mark_key(size), b"")
    return _found(bucket, place, size)


def _found(bucket: Bucket, place: Place, size: int) -> StoredBlob:
    found = bucket.stat(place.mark_key(size) if place.mark else place.data_key)
    if found is None:
        raise _not_found(place)
    return StoredBlob(place.location, size, place.mark, found.stored_at)


def _marks_by_size(bucket: Bucket, places: Sequence[Place]) -> Iterator[str]:
    """Keys of the marks that marked places name."""
    marked = {place.data_key: place for place in places if place.mark}
    for found in bucket.stat_many(list(marked)):
        yield marked[found.key].mark_key(found.size)


def _marks_by_listing(bucket: Bucket, places: Sequence[Place]) -> Iterator[str]:
    """Keys of the marks that were written for unmarked places meanwhile."""
    for place in places:
        if place.mark is None:
            for prefix in place.mark_prefixes():
                yield from (listed.key for listed in bucket.listing(prefix))


def _not_found(place: Place) -> BlobNotFound:
    return BlobNotFound(f"nothing is stored at {place.location}", location=place.location)
