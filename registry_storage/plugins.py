"""Finds drivers by their configured name and makes them from their settings.

A plug-in is loaded only when its name is asked for, so a broken one never stops a registry that
does not use it.  `describe_drivers` loads every one, each on its own, for people to look at.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import pluggy
from pydantic import BaseModel, ValidationError

from registry_storage import hookspecs
from registry_storage.drivers.api import (
    CatalogHome,
    Driver,
    ForeignData,
    LocalFiles,
    PartLimits,
    Redirects,
)
from registry_storage.errors import ConfigurationInvalid, SdkMissing
from registry_storage.hookspecs import ENTRY_POINT_GROUP, PROJECT, DriverFactory, OpenDriver

Config = TypeVar("Config", bound=BaseModel)

EXTENSIONS: Final[tuple[type, ...]] = (LocalFiles, Redirects, ForeignData, CatalogHome)
"""What a listing of drivers looks for."""


@dataclass(frozen=True, slots=True)
class DriverDescription:
    """What a listing of drivers shows of one of them."""

    name: str
    distribution: str
    """The package that brings it."""
    version: str
    config_keys: tuple[str, ...] = ()
    limits: PartLimits | None = None
    """As with the settings of the factory's example; None: there is none, or no SDK."""
    extensions: tuple[str, ...] = ()
    """The optional abilities that a driver made so has."""
    missing_sdk: tuple[str, ...] = ()
    """Modules of its SDK that are not installed."""
    problem: str | None = None
    """Why the plug-in does not load; None: it does."""


def open_driver(name: str, settings: Mapping[str, Any], *, path: str = "storage") -> Driver:
    """The driver of that name with these settings: constructed, not started.

    `path` is where in the configuration the driver's name stands; it begins the messages of
    `ConfigurationInvalid`.  Raises `SdkMissing` where the driver's SDK is not installed.
    """
    factory = load_factory(name, path=path)
    config = validate_settings(factory.config_type, settings, path=f"{path}.{name}")
    return factory.make(config, _opener_of_children(f"{path}.{name}"))


def load_factory(name: str, *, path: str = "storage") -> DriverFactory:
    """Load the plug-in behind this name, and no other.  Raises `ConfigurationInvalid`."""
    entry = _entry_point(name, path)
    try:
        factories = _factories_of(entry)
    except Exception as error:
        raise ConfigurationInvalid(
            f"{path}.{name}: the plug-in of {_distribution(entry)} does not load: {_told(error)}"
        ) from error
    for factory in factories:
        if factory.name == name:
            return factory
    offered = ", ".join(factory.name for factory in factories) or "nothing"
    raise ConfigurationInvalid(
        f"{path}.{name}: the plug-in of {_distribution(entry)} offers {offered}, but not {name}"
    )


def driver_names() -> list[str]:
    """The names that a configuration may use, sorted; loads nothing."""
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})


def describe_drivers() -> list[DriverDescription]:
    """Every driver that is installed, by name; one that does not load says why."""
    entries = sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name)
    return [_describe(entry) for entry in entries]


def validate_settings(config_type: type[Config], settings: Any, *, path: str) -> Config:
    """`settings` as `config_type`; else `ConfigurationInvalid`, a line for each wrong key.

    Every line begins with the key's full path: `storage.filesystem.rootdirectry: unknown key`.
    """
    try:
        return config_type.model_validate({} if settings is None else settings)
    except ValidationError as error:
        lines = (_line(dict(item), config_type, path) for item in error.errors())
        raise ConfigurationInvalid("\n".join(lines)) from None


def _opener_of_children(path: str) -> OpenDriver:
    def open_child(name: str, settings: Mapping[str, Any], *, at: str = "") -> Driver:
        return open_driver(name, settings, path=f"{path}.{at}" if at else path)

    return open_child


def _entry_point(name: str, path: str) -> EntryPoint:
    found = list(entry_points(group=ENTRY_POINT_GROUP, name=name))
    if len(found) == 1:
        return found[0]
    if not found:
        known = driver_names()
        raise ConfigurationInvalid(
            f"{path}.{name}: unknown driver{_suggestion(name, known)}; "
            f"installed: {', '.join(known)}"
        )
    packages = ", ".join(_distribution(entry) for entry in found)
    raise ConfigurationInvalid(f"{path}.{name}: offered by {packages}; uninstall all but one")


def _factories_of(entry: EntryPoint) -> list[DriverFactory]:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(entry.load(), name=entry.value)
    manager.check_pending()
    return [factory for result in manager.hook.registry_storage_drivers() for factory in result]


def _describe(entry: EntryPoint) -> DriverDescription:
    name, _, version = _distribution(entry).partition(" ")
    try:
        factory = load_factory(entry.name)
        made = _example_of(factory)
    except ConfigurationInvalid as error:
        return DriverDescription(entry.name, name, version, problem=str(error))
    return DriverDescription(
        entry.name,
        name,
        version,
        config_keys=tuple(_fields(factory.config_type)),
        limits=made.limits if made else None,
        extensions=extensions_of(made) if made else (),
        missing_sdk=tuple(module for module in factory.sdk if not _is_installed(module)),
    )


def extensions_of(driver: Driver) -> tuple[str, ...]:
    """The names of the optional abilities that a driver has."""
    return tuple(kind.__name__ for kind in EXTENSIONS if driver.extension(kind) is not None)


def _example_of(factory: DriverFactory) -> Driver | None:
    """A driver to look at; never started.  Raises `ConfigurationInvalid`."""
    if factory.example is None:
        return None
    try:
        return open_driver(factory.name, factory.example)
    except SdkMissing:
        return None
    except ConfigurationInvalid:
        raise
    except Exception as error:
        raise ConfigurationInvalid(
            f"storage.{factory.name}: makes no driver of its own example: {_told(error)}"
        ) from error


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing
        return False


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _line(item: Mapping[str, Any], config_type: type[BaseModel], path: str) -> str:
    where = ".".join([path, *map(str, item["loc"])])
    if item["type"] == "extra_forbidden":
        known = list(_fields(_model_at(config_type, item["loc"][:-1])))
        hint = _suggestion(str(item["loc"][-1]), known) or f"; known: {', '.join(known) or 'none'}"
        return f"{where}: unknown key{hint}"
    if item["type"] == "missing":
        return f"{where}: required"
    message = item["msg"].removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}"


def _model_at(config_type: type[BaseModel], keys: tuple[str | int, ...]) -> type[BaseModel]:
    """The nested model that `keys` lead to; the last one known where they leave the models."""
    for key in keys:
        inner = _fields(config_type).get(str(key))
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        config_type = inner
    return config_type


def _fields(config_type: type[BaseModel]) -> dict[str, Any]:
    """The keys of a model, as a configuration writes them, each with its type."""
    fields = config_type.model_fields.items()
    return {field.alias or name: field.annotation for name, field in fields}


def _suggestion(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
