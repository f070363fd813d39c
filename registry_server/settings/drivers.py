"""What the settings need to know of the installed storage drivers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_storage.errors import ConfigurationInvalid
from registry_storage.plugins import driver_names, load_factory, validate_settings

DEFAULT_DRIVER = "filesystem"
KEEPS_FILES = {"filesystem"}
KEEPS_NOTHING = {"memory", "inmemory"}


def driver_named(word: str) -> str | None:
    """The driver that is called so in the name of a variable, where `_` stands for `-` too."""
    return next((n for n in driver_names() if n.replace("-", "_").lower() == word), None)


def parameters_of(driver: str) -> Any:
    """The type of the driver's section; `Any` where its plug-in does not load."""
    try:
        return load_factory(driver).config_type
    except ConfigurationInvalid:
        return Any


def check_parameters(driver: str, parameters: Mapping[str, Any]) -> None:
    """Raises `ConfigurationInvalid`, a line for each problem, each with its full path."""
    factory = load_factory(driver, path="storage")
    validate_settings(factory.config_type, parameters, path=f"storage.{driver}")
