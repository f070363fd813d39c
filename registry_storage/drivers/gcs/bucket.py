"""Single requests to one bucket, blocking; keys are relative to the root directory.

The SDK repeats nothing by itself: whoever calls the driver decides that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import requests
from google.api_core.exceptions import from_http_response
from google.auth.credentials import Signing
from google.cloud import storage  # type: ignore[import-untyped]

from registry_storage.drivers._object_layout import Listed, root_prefix
from registry_storage.drivers.api import Buffer
from registry_storage.drivers.gcs.body import CONTENT_TYPE, UploadBody
from registry_storage.drivers.gcs.failures import object_at, translating
from registry_storage.errors import BlobNotFound, DriverUnavailable, RangeNotSatisfiable

TIMEOUT: Final = (10.0, 60.0)
"""Seconds: to connect, and for each wait for bytes."""
LONGEST_SIGNATURE: Final = timedelta(days=7)
_LISTED: Final = "items(name,size,timeCreated,generation),nextPageToken"


@dataclass(frozen=True, slots=True)
class Stored(Listed):
    """An object, as a listing or the answer to a request shows it."""

    generation: int
    """Names these bytes under this key, and no others, ever."""


class Bucket:
    """One bucket, below a root directory.  Safe to use from many threads at once."""

    def __init__(
        self, client: storage.Client, signer: Signing | None, name: str, rootdirectory: str
    ) -> None:
        self.name = name
        self.signs = signer is not None
        self._client = client
        self._signer = signer
        self._root = root_prefix(rootdirectory)
        self._bucket = client.bucket(name)

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def create(self, key: str, data: Sequence[Buffer]) -> Stored:
        """Store `data` under a key that is free.  Raises `KeyTaken`."""
        body = UploadBody(self._root + key, data)
        with translating(self.name, key):
            answer = self._client._http.post(
                f"{self._url('upload')}?uploadType=multipart&ifGenerationMatch=0",
                data=body,
                headers={"Content-Type": body.content_type},
                timeout=TIMEOUT,
            )
            if not answer.ok:
                raise from_http_response(answer)  # type: ignore[no-untyped-call]
        made = answer.json()
        stored_at = datetime.fromisoformat(made["timeCreated"]).astimezone(UTC)
        return Stored(key, int(made["size"]), stored_at, int(made["generation"]))

    def compose(self, key: str, sources: Sequence[Stored]) -> Stored:
        """Join at most 32 objects under a key that is free.  Raises `KeyTaken`.

        Raises `BlobNotFound` where one of them is gone, or is not of that generation any more.
        """
        blob = self._blob(key)
        blob.content_type = CONTENT_TYPE
        with object_at(self.name, key):
            blob.compose(
                [self._blob(source.key, source.generation) for source in sources],
                if_generation_match=0,
                timeout=TIMEOUT,
                retry=None,
            )
        return self._stored(blob)

    def stat(self, key: str) -> Stored:
        """What is stored under `key`.  Raises `BlobNotFound`."""
        blob = self._blob(key)
        with object_at(self.name, key):
            blob.reload(timeout=TIMEOUT, retry=None)
        return self._stored(blob)

    def delete(self, key: str) -> None:
        """Succeeds when there is nothing to delete."""
        with suppress(BlobNotFound), object_at(self.name, key):
            self._blob(key).delete(timeout=TIMEOUT, retry=None)

    def listing(self, prefix: str) -> Iterator[Stored]:
        """The objects whose keys begin so, in the order of their bytes."""
        with translating(self.name, f"{prefix}*"):
            for blob in self._list(prefix, fields=_LISTED):
                yield self._stored(blob)

    def folders(self, prefix: str) -> Iterator[str]:
        """What lies directly below `prefix` and ends in a slash."""
        pages = self._list(prefix, delimiter="/", fields="prefixes,nextPageToken").pages
        with translating(self.name, f"{prefix}*"):
            for page in pages:
                for found in page.prefixes:
                    yield found.removeprefix(self._root)

    def check(self) -> None:
        """See that the bucket answers, and that we may look into it."""
        with translating(self.name, "the listing"):
            next(iter(self._list("", max_results=1)), None)

    def read(self, key: str, start: int, stop: int | None) -> Reading:
        """Begin to read.  Raises `RangeNotSatisfiable` where the object ends before `start`."""
        is_empty = stop is not None and stop <= start
        if not is_empty and (reading := self._open(key, start, stop)):
            return reading
        size = self.stat(key).size
        if start > size:
            message = f"{key} has {size} bytes, so none at {start}"
            raise RangeNotSatisfiable(message, size=size, location=key)
        return Reading(self.name, key, None, 0)

    def signed_url(self, key: str, valid_for: float, method: str) -> str:
        """A V4 signed URL, for seven days at most.  Only where the bucket `signs`."""
        url: str = self._blob(key).generate_signed_url(
            version="v4",
            expiration=min(timedelta(seconds=valid_for), LONGEST_SIGNATURE),
            method=method,
            credentials=self._signer,
            api_access_endpoint=self._client.api_endpoint,
        )
        return url

    def _open(self, key: str, start: int, stop: int | None) -> Reading | None:
        """None where the object has no byte at `start`."""
        headers = {"Accept-Encoding": "identity"}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        with object_at(self.name, key):
            answer = self._client._http.get(
                f"{self._url('download')}/{quote(self._root + key, safe='')}?alt=media",
                headers=headers,
                stream=True,
                timeout=TIMEOUT,
            )
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                answer.close()
                return None
            if not answer.ok:
                raise from_http_response(answer)  # type: ignore[no-untyped-call]
        return Reading(self.name, key, answer, int(answer.headers["Content-Length"]))

    def _blob(self, key: str, generation: int | None = None) -> storage.Blob:
        return self._bucket.blob(self._root + key, generation=generation)

    def _list(self, prefix: str, **options: Any) -> Any:
        return self._client.list_blobs(
            self._bucket, prefix=self._root + prefix, timeout=TIMEOUT, retry=None, **options
        )

    def _url(self, way: str) -> str:
        """Where the JSON API moves bytes.  The SDK's own calls for that hold all in memory."""
        return f"{self._client.api_endpoint}/{way}/storage/v1/b/{self.name}/o"

    def _stored(self, blob: storage.Blob) -> Stored:
        key = blob.name.removeprefix(self._root)
        stored_at = blob.time_created.astimezone(UTC)
        return Stored(key, int(blob.size), stored_at, int(blob.generation))


@dataclass(slots=True)
class Reading:
    """The answer to a read, open."""

    bucket: str
    key: str
    answer: requests.Response | None
    """None: there is nothing to read."""
    remaining: int
    """So many bytes are still to come."""

    def next_piece(self, size: int) -> bytes:
        """The next bytes, at most `size`; never none.

        Raises `DriverUnavailable` where the answer ends early.
        """
        assert self.answer is not None
        with object_at(self.bucket, self.key):
            piece: bytes = self.answer.raw.read(min(size, self.remaining))
        if not piece:
            raise DriverUnavailable(f"the answer for {self.key} ended early", location=self.key)
        self.remaining -= len(piece)
        return piece

    def close(self) -> None:
        """Free the connection."""
        if self.answer is not None:
            self.answer.close()
