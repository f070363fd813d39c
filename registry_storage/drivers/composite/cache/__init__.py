"""The `cache` driver: a local folder with a budget of bytes in front of a slow store.

files    what lies in the folder, blocking; several processes share it
reading  a blob that is read from the folder, checked
filling  a blob on its way into the folder, and those who read it meanwhile
driver   the driver
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ByteSize, Field

from registry_storage.drivers.api import Driver, MiB
from registry_storage.drivers.composite._children import Child, opened
from registry_storage.drivers.composite.cache.driver import CacheDriver
from registry_storage.drivers.composite.cache.files import CacheFiles
from registry_storage.hookspecs import DriverConfig, DriverFactory, OpenDriver, hookimpl

__all__ = ["CacheConfig", "CacheDriver"]


def _as_text(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class CacheConfig(DriverConfig):
    """Settings of the cache driver."""

    store: Child
    """The store behind the cache: one driver, with its settings."""
    directory: Annotated[str, Field(min_length=1), BeforeValidator(_as_text)]
    """A folder on a local disk, for nothing else; made where it is missing, and may be emptied at
    any time.  The processes of one host share it."""
    size: Annotated[ByteSize, Field(ge=MiB)]
    """How many bytes the folder may hold (`20GiB`): what was used longest ago makes room."""
    redirect: bool = False
    """Send clients to the store where it can serve them itself, past the cache, which then only
    helps those who may not be sent there."""


def make(config: CacheConfig, open_driver: OpenDriver) -> Driver:
    """The driver in front of its store."""
    files = CacheFiles(Path(config.directory).absolute(), config.size)
    return CacheDriver(opened(config.store, open_driver, "store"), files, config.redirect)


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    """The driver."""
    return [DriverFactory("cache", CacheConfig, make)]
