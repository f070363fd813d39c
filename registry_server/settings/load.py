"""From a file and the environment to checked settings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from registry_server.settings import drivers, foreign
from registry_server.settings.document import read_document
from registry_server.settings.environment import (
    CONFIGURATION_PATH,
    Override,
    read_environment,
)
from registry_server.settings.model import Settings, StorageSettings
from registry_server.settings.problems import describe
from registry_storage.errors import ConfigurationInvalid

Tree = dict[str, Any]

_CHOICES = {"storage", "auth"}
"""Sections of which one key is a choice, so that the bare name of one may stand for it."""
_STORAGE_KEYS = (set(StorageSettings.model_fields) - {"driver", "parameters"}) | {"tag"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """Checked settings, where they came from, and what the operator should be told."""

    settings: Settings
    source: Path | None
    """The file; None: there is none."""
    warnings: tuple[str, ...] = ()


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Configuration:
    """Read and check the settings.

    `path` is the file; None: the one that `REGISTRY_CONFIGURATION_PATH` names, or none.  Raises
    `ConfigurationInvalid`, a line for each problem, which begins with the full path of the key.
    """
    if path is None and environ.get(CONFIGURATION_PATH):
        path = Path(environ[CONFIGURATION_PATH])
    tree = read_document(path) if path else {}
    environment = read_environment(environ)
    for section in _CHOICES:
        _spell_out(tree, section)
    for override in environment.overrides:
        _apply(tree, override)
    warnings = [*environment.warnings, *_drop_foreign(tree)]
    origins = {override.path: override.variable for override in environment.overrides}
    return Configuration(_validate(tree, origins), path, tuple(warnings))


def _spell_out(tree: Tree, section: str) -> None:
    """Turn `storage: filesystem`, and a driver without keys, into `storage: {filesystem: {}}`."""
    value = tree.get(section)
    if isinstance(value, str):
        tree[section] = {value: {}}
    elif isinstance(value, dict):
        tree[section] = {k: {} if v is None else v for k, v in value.items()}


# Variables over the file


def _apply(tree: Tree, override: Override) -> None:
    match override.path, override.value:
        case (("storage" | "auth") as section,), str(choice):
            _choose(tree, section, choice)
        case path, None:
            _put(tree, override, {} if _is_choice(path) else None)
        case _:
            _put(tree, override, override.value)
    if len(override.path) == 1 and override.path[0] in _CHOICES:
        _spell_out(tree, str(override.path[0]))


def _is_choice(path: tuple[str | int, ...]) -> bool:
    return len(path) == 2 and path[0] in _CHOICES and path[1] not in _STORAGE_KEYS


def _choose(tree: Tree, section: str, choice: str) -> None:
    """Keep the section of the chosen driver or way, and what is not one of several."""
    present = tree.get(section) or {}
    common = _STORAGE_KEYS if section == "storage" else set()
    kept = {k: v for k, v in present.items() if k in common or k == choice}
    tree[section] = {choice: {}, **kept}


def _put(tree: Tree, override: Override, value: Any) -> None:
    node: Any = tree
    *parents, last = override.path
    for key, below in zip(parents, override.path[1:], strict=True):
        if _item(node, key, override) is None:
            _set(node, key, [] if isinstance(below, int) else {}, override)
        node = _item(node, key, override)
    _set(node, last, value, override)


def _item(node: Any, key: Any, override: Override) -> Any:
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list):
        return node[key] if key < len(node) else None
    raise ConfigurationInvalid(f"{override.variable}: the file has no section there")


def _set(node: Any, key: Any, value: Any, override: Override) -> None:
    if isinstance(node, dict):
        node[key] = value
        return
    if not isinstance(node, list):
        raise ConfigurationInvalid(f"{override.variable}: the file has no section there")
    if key > len(node):
        raise ConfigurationInvalid(
            f"{override.variable}: the list has {len(node)} items, so the next is {len(node)}"
        )
    node[key : key + 1] = [value]


# Keys that mean nothing here


def _drop_foreign(tree: Tree) -> Iterator[str]:
    for path, reason in foreign.REFUSED.items():
        if _take(tree, path.split(".")):
            raise ConfigurationInvalid(f"{path}: {reason}")
    for path, reason in foreign.IGNORED.items():
        if _take(tree, path.split(".")):
            yield f"{path}: ignored: {reason}"


def _take(node: Any, keys: list[str]) -> bool:
    """Remove a key, and the sections that this empties; whether it was there."""
    first, *rest = keys
    if not isinstance(node, dict) or first not in node:
        return False
    if not rest:
        del node[first]
        return True
    found = _take(node[first], rest)
    if found and not node[first]:
        del node[first]
    return found


# Checking


def _validate(tree: Tree, origins: Mapping[tuple[str | int, ...], str]) -> Settings:
    shaped = _without_nulls(tree)
    shaped["storage"] = _shape_storage(shaped.get("storage", {}))
    try:
        settings = Settings.model_validate(shaped)
    except ValidationError as error:
        raise ConfigurationInvalid("\n".join(describe(error, Settings, origins))) from None
    settings = _with_default_store(settings)
    drivers.check(
        settings.storage.driver,
        settings.storage.parameters,
        has_catalog_url=settings.catalog.url is not None,
    )
    return settings


def _without_nulls(tree: Tree) -> Tree:
    """The tree without keys that have no value: they mean the default."""
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if value is not None
    }


def _shape_storage(storage: Any) -> Any:
    """The one section of a driver as `driver` and `parameters`."""
    if not isinstance(storage, dict):
        return storage
    chosen = [key for key in storage if key not in _STORAGE_KEYS]
    if len(chosen) > 1:
        raise ConfigurationInvalid(
            f"storage: one driver at a time, but there are sections for {', '.join(sorted(chosen))}"
        )
    common = {key: value for key, value in storage.items() if key in _STORAGE_KEYS}
    if not chosen:
        return common
    return {**common, "driver": chosen[0], "parameters": storage[chosen[0]]}


def _with_default_store(settings: Settings) -> Settings:
    if settings.storage.driver:
        return settings
    parameters = {"rootdirectory": str(settings.data.directory / "storage")}
    storage = settings.storage.model_copy(
        update={"driver": drivers.DEFAULT_DRIVER, "parameters": parameters}
    )
    return settings.model_copy(update={"storage": storage})
