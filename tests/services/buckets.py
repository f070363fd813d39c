"""Accounts of S3 stores, and what tests do in them beside the driver's back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
)


@dataclass(frozen=True, slots=True)
class S3Account:
    """An account that may make buckets."""

    endpoint: str
    access_key: str
    secret_key: str

    def client(self) -> Any:
        """A boto3 client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                connect_timeout=5,
                read_timeout=30,
            ),
        )

    @contextmanager
    def bucket(self) -> Iterator[Bucket]:
        """A fresh bucket; nothing is left of it."""
        client = self.client()
        bucket = Bucket(self, f"test-{secrets.token_hex(8)}", client)
        client.create_bucket(Bucket=bucket.name)
        try:
            yield bucket
        finally:
            bucket.empty()
            client.delete_bucket(Bucket=bucket.name)
            client.close()

    def takes_writes(self) -> bool:
        """Whether the store is ready."""
        try:
            with self.bucket() as bucket:
                bucket.put("ready", b"?")
        except (BotoCoreError, ClientError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a test's own."""

    account: S3Account
    name: str
    client: Any

    @property
    def settings(self) -> dict[str, Any]:
        """The driver's settings for it."""
        return {
            "bucket": self.name,
            "regionendpoint": self.account.endpoint,
            "forcepathstyle": True,
            "accesskey": self.account.access_key,
            "secretkey": self.account.secret_key,
            "chunksize": 5 << 20,
        }

    def put(self, key: str, data: bytes) -> None:
        """Store an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def all_keys(self) -> list[str]:
        """Of all that is stored."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def uploads(self) -> list[tuple[str, str]]:
        """Key and id of every multipart upload under way."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name)
        uploads = [found for page in pages for found in page.get("Uploads", ())]
        return [(found["Key"], found["UploadId"]) for found in uploads]

    def parts(self) -> list[str]:
        """The uploads under way, and each of their parts."""
        found = []
        for key, upload in self.uploads():
            found.append(upload)
            found += [f"{upload}/{number}" for number in self._numbers(key, upload)]
        return found

    def _numbers(self, key: str, upload: str) -> list[int]:
        """Of an upload's parts; none where it was ended just now."""
        try:
            stored = self.client.list_parts(Bucket=self.name, Key=key, UploadId=upload)
        except self.client.exceptions.NoSuchUpload:
            return []
        return [part["PartNumber"] for part in stored.get("Parts", ())]

    def empty(self) -> None:
        """Delete and abort everything."""
        keys = [{"Key": key} for key in self.all_keys()]
        for page in range(0, len(keys), 1000):
            doomed = {"Objects": keys[page : page + 1000], "Quiet": True}
            answer = self.client.delete_objects(Bucket=self.name, Delete=doomed)
            assert "Errors" not in answer, answer
        for key, upload in self.uploads():
            self.client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload)
