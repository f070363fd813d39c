"""The `mirror` driver: every blob in two or more stores, read from the nearest that answers.

naming   what the mirror's locations, handles and tokens say
limits   what all stores accept
stores   one store, and whether it answers; asking several at once
reading  a read that goes on at the next store
repairs  blobs that a store lacks, copied to it
driver   the driver
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from registry_storage.drivers.api import Driver
from registry_storage.drivers.composite._children import Child, opened
from registry_storage.drivers.composite.mirror.driver import MirrorDriver
from registry_storage.hookspecs import DriverConfig, DriverFactory, OpenDriver, hookimpl

__all__ = ["MirrorConfig", "MirrorDriver", "Require"]


class Require(StrEnum):
    """How many stores must hold what is acknowledged."""

    ALL = "all"
    QUORUM = "quorum"
    ONE = "one"

    def of(self, stores: int) -> int:
        """The number, of so many stores."""
        return {Require.ALL: stores, Require.QUORUM: stores // 2 + 1, Require.ONE: 1}[self]


class MirrorConfig(DriverConfig):
    """Settings of the mirror driver."""

    stores: Annotated[tuple[Child, ...], Field(min_length=2)]
    """The stores, the nearest first: that is the order in which they are read."""
    require: Require = Require.ALL
    """How many stores must hold a blob durably before it is acknowledged: `all` loses nothing while
    any one store is left, but takes no pushes while one is down; with `quorum` (more than half) and
    `one` pushes go on, and what was just pushed is in so many stores only until it is repaired."""

    @field_validator("stores")
    @classmethod
    def _different(cls, stores: tuple[Child, ...]) -> tuple[Child, ...]:
        if any(store in stores[:index] for index, store in enumerate(stores)):
            raise ValueError("two of the stores are the same; a copy beside itself is none")
        return stores


def make(config: MirrorConfig, open_driver: OpenDriver) -> Driver:
    """The driver over its stores, each opened by its own name and settings."""
    children = [
        opened(section, open_driver, f"stores.{index}")
        for index, section in enumerate(config.stores)
    ]
    return MirrorDriver(children, config.require.of(len(children)))


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    """The driver."""
    return [DriverFactory("mirror", MirrorConfig, make)]
