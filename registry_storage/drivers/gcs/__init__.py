"""The `gcs` driver: blobs as objects of a bucket of Google Cloud Storage.

config       the settings
client       the SDK's client made from them, and who signs URLs
failures     what the SDK raises, as this project's errors
body         what an upload sends
bucket       single requests, blocking
uploads      names of an upload's objects
driver       every operation of the interface, made of those requests

Parts are objects of their own, under names that are never used again, and `compose` joins them
within the service, without moving a byte.  The alternative, the XML API's multipart upload, was
rejected: it takes no preconditions, so a late request could publish over what is there, and the
SDK has no public call for it.  What compose costs is known: 32 sources a call, hence a tree of
calls for large blobs, and parts that have to be deleted.
"""

from __future__ import annotations

from typing import Final

from registry_storage.drivers.api import Driver
from registry_storage.drivers.gcs.config import GcsConfig
from registry_storage.errors import SdkMissing
from registry_storage.hookspecs import DriverFactory, OpenDriver, hookimpl

__all__ = ["GcsConfig"]

SDK: Final = ("google.cloud.storage",)


def make(config: GcsConfig, open_driver: OpenDriver) -> Driver:
    """The driver over the bucket that `config` names."""
    try:
        import google.cloud.storage  # type: ignore[import-untyped]  # noqa: F401
    except ModuleNotFoundError as error:
        raise SdkMissing(
            f"the gcs driver needs {error.name}: pip install registry-storage[gcs]"
        ) from error
    from registry_storage.drivers.gcs.driver import GcsDriver

    return GcsDriver(config)


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    """The driver."""
    return [DriverFactory("gcs", GcsConfig, make, SDK, example={"bucket": "images"})]
