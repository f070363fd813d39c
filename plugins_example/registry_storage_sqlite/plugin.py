"""The door through which the registry finds the driver."""

from __future__ import annotations

from pathlib import Path

from registry_storage.drivers.api import Driver
from registry_storage.hookspecs import DriverConfig, DriverFactory, OpenDriver, hookimpl
from registry_storage_sqlite.driver import SqliteDriver


class SqliteConfig(DriverConfig):
    """The settings below `storage.sqlite`."""

    path: Path
    """The file; made where it is missing, its folder is not."""


def make(config: SqliteConfig, open_driver: OpenDriver) -> Driver:
    return SqliteDriver(config.path)


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    return [DriverFactory("sqlite", SqliteConfig, make, example={"path": "store.sqlite"})]
