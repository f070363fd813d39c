"""Multipart uploads, blocking; safe to call from many threads.

An upload's id and its parts' ETags come from the catalog.  The store is asked what it holds only
where it refuses to complete an upload, to find out why.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from registry_storage.drivers._naming import ID
from registry_storage.drivers._object_layout import BLOBS, Place
from registry_storage.drivers.api import Handle, MiB, Part
from registry_storage.drivers.s3.failures import code_of
from registry_storage.drivers.s3.requests import Requests
from registry_storage.errors import DriverUnavailable, PartLost, UploadNotFound

SMALLEST_PART: Final = 5 * MiB
"""Of all but the last of an upload."""
PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds to wait for somebody else who completes the same upload."""

_HANDLE = re.compile(rf"{ID}\.(?P<upload>[\x21-\x7e]+)")
_GONE: Final = ("NoSuchUpload", "NoSuchKey", "404")
_IN_PROGRESS: Final = "already in progress"
"""What Ceph's gateway says to all but the first of several that complete one upload."""


class Uploads:
    """What is on its way into the bucket."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def begin(self, blob_id: str) -> Handle:
        requests, key = self._requests, Place(blob_id, None).data_key
        with requests.about(key):
            answer = requests.client.create_multipart_upload(
                **requests.named(key), **requests.for_blobs
            )
        return f"{blob_id}.{answer['UploadId']}"

    def put_part(self, handle: Handle, number: int, data: bytes) -> str:
        """Store a part; its ETag."""
        try:
            return self._put_part(handle, number, data)
        except DriverUnavailable as error:
            # Some stores answer for uploads that are gone as if they had failed themselves.
            if self._is_under_way(handle):
                raise
            raise _no_upload(handle) from error

    def publish(self, handle: Handle, parts: Sequence[Part]) -> None:
        """Complete the upload, unless that was done before or is done meanwhile."""
        for pause in PAUSES:
            if self._publish_once(handle, parts):
                return
            time.sleep(pause)
        raise DriverUnavailable(f"upload {handle} has been on its way to completion for too long")

    def abort(self, handle: Handle) -> None:
        with self._requests.about(handle):
            try:
                self._requests.client.abort_multipart_upload(**self._named(handle))
            except ClientError as error:
                if code_of(error) not in _GONE:
                    raise

    def walk(self, older_than: datetime) -> Iterator[Handle]:
        """The uploads that began before."""
        for page in self._requests.pages("list_multipart_uploads", BLOBS):
            for upload in page.get("Uploads", ()):
                blob_id = upload["Key"].removeprefix(f"{self._requests.root}{BLOBS}")
                handle = f"{blob_id}.{upload['UploadId']}"
                if upload["Initiated"] < older_than and _HANDLE.fullmatch(handle):
                    yield handle

    # Publishing

    def _publish_once(self, handle: Handle, parts: Sequence[Part]) -> bool:
        """Whether the blob is published now; False: somebody else is at it."""
        try:
            self._complete(handle, parts)
        except (UploadNotFound, PartLost, DriverUnavailable) as error:
            # In this order: whoever completes an upload publishes first, and ends the upload after.
            gone = isinstance(error, UploadNotFound) or not self._is_under_way(handle)
            if self._lies_published(handle, parts):
                return True
            if gone:
                # moto ends an upload a moment before it publishes the blob.
                time.sleep(PAUSES[0])
                if self._lies_published(handle, parts):
                    return True
                raise _no_upload(handle) from error
            if _IN_PROGRESS in str(error):
                return False
            if not isinstance(error, PartLost):
                raise
            self._publish_without_leftovers(handle, parts, error)
        return True

    def _complete(self, handle: Handle, parts: Sequence[Part]) -> None:
        # An upload has at least one part, which may be empty.
        named = {part.number: part.token for part in parts} or {1: self._put_part(handle, 1, b"")}
        self._complete_with(handle, named)

    def _complete_with(self, handle: Handle, etags: dict[int, str]) -> None:
        named = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]
        with self._requests.about(handle):
            self._requests.client.complete_multipart_upload(
                **self._named(handle), MultipartUpload={"Parts": named}
            )

    def _lies_published(self, handle: Handle, parts: Sequence[Part]) -> bool:
        """Whether the bytes lie at the blob's key: nobody has another upload of that id."""
        return self._requests.size(_data_key(handle)) == sum(part.size for part in parts)

    # Ceph's gateway completes an upload only with all of its parts.

    def _publish_without_leftovers(
        self, handle: Handle, parts: Sequence[Part], error: PartLost
    ) -> None:
        """Publish an upload that also holds parts which are not the blob's.

        Ceph's gateway completes an upload with all of its parts or not at all, and no store deletes
        a single one.  So all are published, and at once replaced by just the blob's, which the
        store copies by itself.  A crash in between leaves an object of another size: no repetition
        takes it for the blob.
        """
        stored = self._stored_parts(handle)
        named = {part.number: part.token for part in parts}
        lost = any(number not in stored or stored[number][0] != named[number] for number in named)
        if lost or len(stored) == len(named):
            raise error
        for number in stored.keys() - named.keys():
            if stored[number][1] < SMALLEST_PART:
                etag = self._put_part(handle, number, bytes(SMALLEST_PART))
                stored[number] = (etag, SMALLEST_PART)
        self._complete_with(handle, {number: etag for number, (etag, _) in stored.items()})
        try:
            self._keep_only(handle, parts, stored)
        except BaseException:
            self._requests.delete([_data_key(handle)])
            raise

    def _keep_only(
        self, handle: Handle, parts: Sequence[Part], stored: dict[int, tuple[str, int]]
    ) -> None:
        key = _data_key(handle)
        ends = accumulate(stored[number][1] for number in sorted(stored))
        end_of = dict(zip(sorted(stored), ends, strict=True))
        copying = self.begin(blob_id_of(handle))
        etags: dict[int, str] = {}
        for part in parts:
            last = end_of[part.number] - 1
            with self._requests.about(copying):
                answer = self._requests.client.upload_part_copy(
                    **self._named(copying),
                    PartNumber=part.number,
                    CopySource=self._requests.named(key),
                    CopySourceRange=f"bytes={last - part.size + 1}-{last}",
                )
            etags[part.number] = answer["CopyPartResult"]["ETag"]
        self._complete_with(copying, etags)

    def _stored_parts(self, handle: Handle) -> dict[int, tuple[str, int]]:
        """ETag and size of every part that the store holds, by number."""
        pages = self._requests.client.get_paginator("list_parts")
        with self._requests.about(handle):
            return {
                part["PartNumber"]: (part["ETag"], part["Size"])
                for page in pages.paginate(**self._named(handle))
                for part in page.get("Parts", ())
            }

    # Requests

    def _put_part(self, handle: Handle, number: int, data: bytes) -> str:
        with self._requests.about(handle):
            answer = self._requests.client.upload_part(
                **self._named(handle), PartNumber=number, Body=data
            )
        return str(answer["ETag"])

    def _is_under_way(self, handle: Handle) -> bool:
        with self._requests.about(handle):
            try:
                self._requests.client.list_parts(**self._named(handle), MaxParts=1)
            except ClientError as error:
                if code_of(error) in _GONE:
                    return False
                raise
        return True

    def _named(self, handle: Handle) -> dict[str, Any]:
        return self._requests.named(_data_key(handle), UploadId=_parsed(handle)["upload"])


def blob_id_of(handle: Handle) -> str:
    """The id under which the upload will be published.  Raises `UploadNotFound`."""
    return _parsed(handle)["id"]


def _data_key(handle: Handle) -> str:
    return Place(blob_id_of(handle), None).data_key


def _no_upload(handle: Handle) -> UploadNotFound:
    return UploadNotFound(f"there is no upload {handle!r} in this store")


def _parsed(handle: Handle) -> re.Match[str]:
    if found := _HANDLE.fullmatch(handle):
        return found
    raise _no_upload(handle)
