"""The `rados` driver: blobs striped over objects of a Ceph pool, through librados.

layout    names of objects and keys, and what they mean
failures  librados' errors as this project's
pool      one namespace of a pool: objects, and directories of keys
reading   a range of a blob, from the objects that hold it
store     every operation, blocking
driver    the same, asynchronous
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from registry_storage.drivers.api import Driver, KiB, MiB
from registry_storage.drivers.rados.driver import RadosDriver
from registry_storage.drivers.rados.layout import Address
from registry_storage.drivers.rados.pool import Pool, binding
from registry_storage.hookspecs import DriverConfig, DriverFactory, OpenDriver, hookimpl

__all__ = ["RadosConfig", "RadosDriver"]


class RadosConfig(DriverConfig):
    """Settings of the rados driver, named as in distribution where it had them."""

    poolname: Annotated[str, Field(min_length=1)]
    """The pool: replicated, not erasure-coded, since omap keys are kept in it."""
    username: Annotated[str, Field(min_length=1)] = "admin"
    """The user of Ceph, with or without `client.` before it."""
    conffile: str = ""
    """The cluster's `ceph.conf`; else `$CEPH_CONF`, `/etc/ceph/ceph.conf`, `~/.ceph/config` or
    `./ceph.conf`, as librados looks for it."""
    namespace: Annotated[str, Field(min_length=1)] = "registry"
    """The namespace in the pool: registries in other namespaces do not meet."""
    chunksize: Annotated[int, Field(ge=64 * KiB, le=90 * MiB)] = 8 * MiB
    """How many bytes of a blob one object holds.  Larger: fewer round trips, more memory."""


def make(config: RadosConfig, open_driver: OpenDriver) -> Driver:
    """The driver over one namespace of a pool."""
    client = f"client.{config.username.removeprefix('client.')}"
    address = Address(config.poolname, config.namespace, client, config.conffile)
    return RadosDriver(Pool(binding(), address), config.chunksize)


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    """The driver."""
    example = {"poolname": "images"}
    return [DriverFactory("rados", RadosConfig, make, sdk=("rados",), example=example)]
