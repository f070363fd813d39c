"""The `kodo` driver, also called `qiniu`: blobs in a bucket of Qiniu Kodo.

config    the settings
failures  what Kodo and the network answer, as this project's errors
service   the requests, each a blocking call
driver    the contract over them, asynchronous

Bytes stay under the key where they were uploaded; a blob put in one piece is a form upload, a
larger one a multipart upload (version 2).  Kodo lists no unfinished uploads: it drops them seven
days after their beginning.
"""

from __future__ import annotations

from functools import partial

from registry_storage.drivers.api import Driver
from registry_storage.drivers.kodo.config import KodoConfig
from registry_storage.errors import SdkMissing
from registry_storage.hookspecs import DriverFactory, OpenDriver, hookimpl

__all__ = ["KodoConfig"]


def make(name: str, config: KodoConfig, open_driver: OpenDriver) -> Driver:
    """The driver over the bucket, under the name it was configured by."""
    try:
        import qiniu  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise SdkMissing(
            f"the {name} driver needs the package qiniu: pip install 'registry-storage[kodo]'"
        ) from error
    from registry_storage.drivers.kodo.driver import KodoDriver

    return KodoDriver(config, name=name)


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    """The driver under both its names."""
    example = {"accesskey": "key", "secretkey": "secret", "bucket": "images"}
    return [
        DriverFactory(name, KodoConfig, partial(make, name), sdk=("qiniu",), example=example)
        for name in ("kodo", "qiniu")
    ]
