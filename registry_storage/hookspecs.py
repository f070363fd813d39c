"""The door through which drivers come in: all that a plug-in implements and returns.

A plug-in is a module (or any object) behind an entry point of the group `registry_storage.drivers`.
The entry point's name is the name under which the driver is configured; an alias is an entry point
of its own.  The module marks one function with `hookimpl`:

    @hookimpl
    def registry_storage_drivers() -> list[DriverFactory]:
        return [DriverFactory("sqlite", SqliteConfig, make)]

The built-in drivers come in by the same door.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pluggy
from pydantic import BaseModel, ConfigDict

from registry_storage.drivers.api import Driver

PROJECT: Final = "registry_storage"
ENTRY_POINT_GROUP: Final = "registry_storage.drivers"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class OpenDriver(Protocol):
    """Opens a child of a composite driver: constructed, not started."""

    def __call__(self, name: str, settings: Mapping[str, Any], *, at: str = "") -> Driver:
        """`at` is where in the composite's own section the child's name stands (`stores.0`).

        It is part of the path that messages about wrong settings of the child begin with.
        """


class DriverConfig(BaseModel):
    """Base of a driver's settings: unknown keys are errors, values never change.

    Each field is a key of the configuration file; its description says what the key trades off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class DriverFactory:
    """One driver that a plug-in offers."""

    name: str
    """As in the configuration, and as its entry point is called."""
    config_type: type[BaseModel]
    """Validates the driver's settings; its errors reach the operator with their full key path."""
    make: Callable[[Any, OpenDriver], Driver]
    """`make(config, open_driver)` constructs the driver, not started.  An SDK is imported here, so
    that a missing one troubles nobody who does not use the driver; raises `SdkMissing`."""
    sdk: tuple[str, ...] = ()
    """The modules of the SDK that `make` imports; a listing tells whether they are there."""
    example: Mapping[str, Any] | None = None
    """Settings with which `make` gives a driver to look at, for its limits and extensions; it is
    never started.  None: a listing tells neither."""


@hookspec
def registry_storage_drivers() -> list[DriverFactory]:  # type: ignore[empty-body]
    """Return the drivers that this plug-in brings."""
