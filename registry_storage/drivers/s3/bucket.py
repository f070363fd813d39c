"""Published blobs in the bucket, blocking; safe to call from many threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from registry_storage.drivers._object_layout import FOREIGN_TREE, Place, is_empty, stored_blobs
from registry_storage.drivers._reading import RareWaking
from registry_storage.drivers.api import BlobKind, Buffers, Mark, StoredBlob
from registry_storage.drivers.s3.failures import code_of
from registry_storage.drivers.s3.requests import Requests
from registry_storage.errors import (
    BlobNotFound,
    DriverError,
    DriverUnavailable,
    RangeNotSatisfiable,
)

_NO_SUCH_RANGE: Final = ("InvalidRange", "416")


class Reading:
    """A blob being read: bytes from a connection, which `close` frees."""

    def __init__(self, requests: Requests, location: str, body: Any, size: int) -> None:
        self.remaining = size
        self._requests = requests
        self._location = location
        self._body = body
        self._waking = RareWaking(lambda: body._raw_stream.fileno())

    def next_piece(self, size: int) -> bytes:
        """The next bytes, at most `size`; never none."""
        size = min(size, self.remaining)
        self._waking.before(size, self.remaining)
        with self._requests.about(self._location):
            piece: bytes = self._body.read(size)
        if not piece:
            raise DriverUnavailable(
                f"{self._requests.store} ended {self._location} {self.remaining} bytes early",
                location=self._location,
            )
        self.remaining -= len(piece)
        return piece

    def close(self) -> None:
        """Free the connection."""
        if self._body is not None:
            self._body.close()


class Bucket:
    """What is published."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def put(self, place: Place, data: Buffers) -> StoredBlob:
        whole = joined(data)
        self._requests.put_blob(place.data_key, whole)
        return self.published(place, len(whole))

    def mark(self, blob_id: str, mark: Mark) -> StoredBlob:
        """Vouch for what lies at an id; answers where it lies marked."""
        place = Place(blob_id, mark)
        marked = self.published(place, self._requests.head(place.data_key).size)
        if self._requests.size(place.data_key) is None:
            # Deleted meanwhile, by somebody who did not see the mark yet.
            self._requests.delete([place.mark_key(marked.size)])
            raise BlobNotFound(f"{place.data_key} has just been deleted", location=place.location)
        return marked

    def published(self, place: Place, size: int) -> StoredBlob:
        """Write the mark, if there is one, behind the bytes that are stored."""
        if place.mark is None:
            return self.stat(place)
        key = place.mark_key(size)
        self._requests.put_mark(key)
        return StoredBlob(place.location, size, place.mark, self._requests.head(key).stored_at)

    def stat(self, place: Place) -> StoredBlob:
        found = self._requests.head(place.data_key)
        size = found.size
        if place.mark is not None:
            found = self._requests.head(place.mark_key(size))
        return StoredBlob(place.location, size, place.mark, found.stored_at)

    def read(self, place: Place, start: int, stop: int | None) -> Reading:
        """Bytes from `start` to `stop`."""
        if stop is not None and stop <= start:
            return self._nothing_at(place, start)
        whole = start == 0 and stop is None
        wanted = {} if whole else {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        requests = self._requests
        with requests.about(place.location):
            try:
                answer = requests.client.get_object(**requests.named(place.data_key), **wanted)
            except ClientError as error:
                if code_of(error) in _NO_SUCH_RANGE:
                    return self._nothing_at(place, start)
                raise
        reading = Reading(requests, place.location, answer["Body"], answer["ContentLength"])
        if not whole and not answer.get("ContentRange", "").startswith(f"bytes {start}-"):
            reading.close()
            raise DriverError(f"{requests.store} ignores ranges, which reading blobs needs")
        return reading

    def keys_of_marks(self, places: Iterable[Place]) -> list[str]:
        """The keys of the blobs' marks, which whoever deletes them has to look for."""
        prefixes = [prefix for place in places for prefix in place.mark_prefixes()]
        return [listed.key for prefix in prefixes for listed in self._requests.listing(prefix)]

    def delete(self, marks: Iterable[str], places: Iterable[Place]) -> None:
        """Delete marks, then bytes; a thousand keys in a request."""
        self._requests.delete(marks)
        self._requests.delete(place.data_key for place in places)

    def walk(self, kind: BlobKind | None) -> Iterator[StoredBlob]:
        return stored_blobs(self._requests.listing, kind)

    def url(self, place: Place, seconds: int, method: str) -> str:
        """A URL that serves the blob for so long."""
        operation = "head_object" if method == "HEAD" else "get_object"
        return self._requests.url(operation, place.data_key, seconds)

    def foreign_tree(self) -> bool:
        return not is_empty(self._requests.listing, FOREIGN_TREE)

    def _nothing_at(self, place: Place, start: int) -> Reading:
        """No bytes of a blob that is there; `RangeNotSatisfiable` where it ends before `start`."""
        size = self._requests.head(place.data_key).size
        if start > size:
            message = f"{place.location} has {size} bytes, so none at {start}"
            raise RangeNotSatisfiable(message, size=size, location=place.location)
        return Reading(self._requests, place.location, None, 0)


def joined(pieces: Buffers) -> bytes:
    """One piece of memory, as the SDK wants a body; copied only where there are several."""
    if len(pieces) == 1 and isinstance(pieces[0], bytes):
        return pieces[0]
    return b"".join(pieces)
