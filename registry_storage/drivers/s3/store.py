"""The bucket as one store: what is published in it, and what is on its way.  Blocking."""

from __future__ import annotations

from collections.abc import Sequence

from registry_storage.drivers._object_layout import Place
from registry_storage.drivers.api import Buffers, Handle, Mark, Part, StoredBlob
from registry_storage.drivers.s3.bucket import Bucket, joined
from registry_storage.drivers.s3.config import S3Config
from registry_storage.drivers.s3.requests import Requests
from registry_storage.drivers.s3.uploads import Uploads, blob_id_of


class S3Store(Bucket):
    """Safe to call from many threads."""

    def __init__(self, config: S3Config) -> None:
        requests = Requests(config)
        super().__init__(requests)
        self.open, self.close = requests.open, requests.close
        self._uploads = Uploads(requests)
        self.begin, self.abort = self._uploads.begin, self._uploads.abort
        self.uploads = self._uploads.walk

    def put_part(self, handle: Handle, number: int, offset: int, data: Buffers) -> Part:
        whole = joined(data)
        return Part(number, offset, len(whole), self._uploads.put_part(handle, number, whole))

    def commit(self, handle: Handle, parts: Sequence[Part], mark: Mark | None) -> StoredBlob:
        place = Place(blob_id_of(handle), mark)
        self._uploads.publish(handle, parts)
        return self.published(place, sum(part.size for part in parts))
