"""The `s3` driver: blobs as objects of a bucket, of AWS or of what speaks its language.

config    the settings
client    boto3 clients made from them
failures  what boto3 raises, as this project's errors
requests  single requests, blocking
bucket    published blobs
uploads   multipart uploads
store     both as one
driver    all of it, asynchronous

Bytes are never copied: a multipart upload is completed where it was begun, under the blob's id, and
a mark is a small key of its own.  The upload's id and the parts' ETags go through the catalog, so
no call ever asks the store how far an upload got.
"""

from __future__ import annotations

from typing import Final

from registry_storage.drivers.api import Driver
from registry_storage.drivers.s3.config import S3Config
from registry_storage.errors import SdkMissing
from registry_storage.hookspecs import DriverFactory, OpenDriver, hookimpl

__all__ = ["S3Config"]

SDK: Final = ("boto3", "botocore")


def _factory(name: str) -> DriverFactory:
    def make(config: S3Config, open_driver: OpenDriver) -> Driver:
        try:
            from registry_storage.drivers.s3.driver import S3Driver
        except ModuleNotFoundError as error:
            if error.name not in SDK:
                raise
            raise SdkMissing(
                f"the {name} driver needs {error.name}: pip install 'registry-storage[s3]'"
            ) from error
        return S3Driver(config, name)

    return DriverFactory(name, S3Config, make, SDK, example={"bucket": "images"})


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    """The driver, and its other name in distribution."""
    return [_factory("s3"), _factory("s3aws")]
