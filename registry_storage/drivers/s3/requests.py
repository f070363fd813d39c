"""Single requests to the bucket, blocking; safe to send from many threads.

Each names keys relative to the root, and raises only errors of this project.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from registry_storage.drivers._object_layout import Listed, root_prefix
from registry_storage.drivers.s3.client import blob_options, mark_options, new_client
from registry_storage.drivers.s3.config import S3Config
from registry_storage.drivers.s3.failures import Store, code_of, translating
from registry_storage.errors import BlobNotFound

KEYS_A_CALL: Final = 1000
"""How many keys one request may delete."""

_ALREADY_THERE: Final = ("PreconditionFailed", "412")


class Requests:
    """The bucket below one root."""

    def __init__(self, config: S3Config) -> None:
        self.root = root_prefix(config.rootdirectory)
        self.store = Store(config.bucket, config.endpoint or "AWS")
        self.for_blobs = blob_options(config)
        self._for_marks = mark_options(config)
        self._config = config
        self.client: Any = None
        self._signer: Any = None

    def open(self) -> None:
        """Make the clients, and see that the bucket can be listed."""
        with self.about("the client"):
            self.client = new_client(self._config, self._config.endpoint)
            public = self._config.public_endpoint
            self._signer = new_client(self._config, public) if public else self.client
        self.store = Store(self._config.bucket, self.client.meta.endpoint_url)
        with self.about("the list of keys"):
            self.client.list_objects_v2(**self.named(Prefix=self.root, MaxKeys=1))

    def close(self) -> None:
        """Close the connections."""
        for client in {id(each): each for each in (self.client, self._signer) if each}.values():
            client.close()

    def named(self, key: str | None = None, **others: Any) -> dict[str, Any]:
        """The arguments that say which bucket and key."""
        keyed = {} if key is None else {"Key": f"{self.root}{key}"}
        return {"Bucket": self._config.bucket, **keyed, **others}

    def about(self, what: str) -> AbstractContextManager[None]:
        """Raise what the SDK raises inside as errors of this project, about `what`."""
        return translating(self.store, what)

    def put_blob(self, key: str, data: bytes) -> None:
        """Store a blob's object, unless it is there: then this is a repetition."""
        self._put(key, data, self.for_blobs)

    def put_mark(self, key: str) -> None:
        """Store a mark's object, unless it is there."""
        self._put(key, b"", self._for_marks)

    def head(self, key: str) -> Listed:
        """Raises `BlobNotFound`."""
        with self.about(key):
            answer = self.client.head_object(**self.named(key))
        return Listed(key, answer["ContentLength"], _to_the_second(answer["LastModified"]))

    def size(self, key: str) -> int | None:
        """Of an object; None: it is not there."""
        try:
            return self.head(key).size
        except BlobNotFound:
            return None

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; what is not there is a success."""
        pending = iter(keys)
        while batch := [self.named(key)["Key"] for key in islice(pending, KEYS_A_CALL)]:
            objects = {"Objects": [{"Key": key} for key in batch], "Quiet": True}
            with self.about(batch[0]):
                answer = self.client.delete_objects(**self.named(Delete=objects))
                for failed in answer.get("Errors", ()):
                    raise ClientError({"Error": failed}, "DeleteObjects")

    def listing(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin so, in the order of their bytes."""
        for page in self.pages("list_objects_v2", prefix):
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(self.root)
                yield Listed(key, found["Size"], _to_the_second(found["LastModified"]))

    def pages(self, operation: str, prefix: str) -> Iterator[dict[str, Any]]:
        """The pages that a listing gives."""
        pages = self.client.get_paginator(operation)
        with self.about(f"what begins with {prefix}"):
            yield from pages.paginate(**self.named(Prefix=f"{self.root}{prefix}"))

    def url(self, operation: str, key: str, seconds: int) -> str:
        """A URL with which anyone may do this one thing for so long."""
        with self.about(key):
            return str(
                self._signer.generate_presigned_url(
                    operation, Params=self.named(key), ExpiresIn=seconds
                )
            )

    def _put(self, key: str, data: bytes, options: dict[str, str]) -> None:
        with self.about(key):
            try:
                self.client.put_object(**self.named(key), Body=data, IfNoneMatch="*", **options)
            except ClientError as error:
                if code_of(error) not in _ALREADY_THERE:
                    raise


def _to_the_second(moment: datetime) -> datetime:
    """As HTTP's headers tell it; listings of some stores are more precise."""
    return moment.astimezone(UTC).replace(microsecond=0)
