"""What the settings need to know of the installed storage drivers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from registry_storage.drivers.api import CatalogHome
from registry_storage.errors import ConfigurationInvalid
from registry_storage.plugins import driver_names, load_factory, open_driver

DEFAULT_DRIVER = "filesystem"
_SOUNDS_SECRET = re.compile(
    "secret|password|accesskey|token|credential|private_?key", re.IGNORECASE
)


def driver_named(word: str) -> str | None:
    """The driver that is called so in the name of a variable, where `_` stands for `-` too."""
    return next((n for n in driver_names() if n.replace("-", "_").lower() == word), None)


def parameters_of(driver: str) -> Any:
    """The type of the driver's section; `Any` where its plug-in does not load."""
    try:
        return load_factory(driver).config_type
    except ConfigurationInvalid:
        return Any


def check(driver: str, parameters: Mapping[str, Any], *, has_catalog_url: bool) -> None:
    """Raises `ConfigurationInvalid`, a line for each problem with its full path; `SdkMissing`."""
    made = open_driver(driver, parameters)
    home = made.extension(CatalogHome)
    if has_catalog_url and home is not None and home.catalog_directory() is None:
        raise ConfigurationInvalid(
            f"catalog.url: the {driver} driver brings a catalog of its own; remove the key"
        )


def secret_parameters(parameters: Mapping[str, Any]) -> set[str]:
    """The values, at any depth, of keys that sound secret (`secretkey`, `password`, …)."""
    found: set[str] = set()
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            found |= secret_parameters(value)
        elif isinstance(value, list | tuple):
            found |= secret_parameters({f"{key} {n}": item for n, item in enumerate(value)})
        elif isinstance(value, str) and _SOUNDS_SECRET.search(key):
            found.add(value)
    return found
