"""The `swift` driver: blobs as objects in one container of an OpenStack Swift account.

Large blobs are *static* large objects: a manifest that names each segment with its size and
checksum.  (Dynamic ones, which are whatever a listing shows at the moment, lose data where a
listing lags or somebody deletes what a name happens to cover.)  Speaks to the RADOS gateway's
Swift, too.

config     the settings, named as in distribution
identity   v1, v2 and v3 of logging in
failures   the SDKs' errors as this project's
account    the account: its token, its connections, what the cluster can do
container  objects by name, below the configured prefix
reading    a blob being read
store      every operation, blocking
urls       temporary URLs
driver     the same, asynchronous

Only `config` is imported with the package: the SDKs are when a driver is made.
"""

from __future__ import annotations

from registry_storage.drivers.api import Driver
from registry_storage.drivers.swift.config import SwiftConfig
from registry_storage.errors import SdkMissing
from registry_storage.hookspecs import DriverFactory, OpenDriver, hookimpl

__all__ = ["SwiftConfig"]

SDK = ("swiftclient", "keystoneauth1")


def make(config: SwiftConfig, open_driver: OpenDriver) -> Driver:
    """The driver over `container`.  Raises `SdkMissing`."""
    try:
        from registry_storage.drivers.swift.driver import SwiftDriver
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in (*SDK, "requests", "urllib3"):
            raise
        raise SdkMissing(
            f"the swift driver needs the module {error.name}: pip install 'registry-storage[swift]'"
        ) from error
    return SwiftDriver(config)


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    """The driver."""
    example = {
        "authurl": "https://keystone.example.org/v3",
        "username": "registry",
        "password": "secret",
        "tenant": "registry",
        "container": "images",
    }
    return [DriverFactory("swift", SwiftConfig, make, SDK, example=example)]
