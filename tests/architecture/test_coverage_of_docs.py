"""Whatever an operator can set or call is in the reference."""

from __future__ import annotations

import types
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import get_args, get_origin

import typer
from pydantic import BaseModel

from registry_server.settings import Settings
from registry_storage.hookspecs import ENTRY_POINT_GROUP
from registry_storage.plugins import describe_drivers
from tests.architecture.source import ROOT

CONFIGURATION = ROOT / "docs" / "reference" / "configuration.md"
COMMAND_LINE = ROOT / "docs" / "reference" / "command-line.md"

DRIVER_PLACEHOLDERS = {"storage.driver", "storage.parameters"}
"""What the settings call a driver's name and keys; a file has `storage.NAME.KEY` instead."""


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted path of every key that holds a value."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        section = _section(field.annotation)
        if section is not None and section.model_fields:
            yield from _paths(section, f"{path}.")
        else:
            yield path


def _section(annotation: object) -> type[BaseModel] | None:
    choices = get_args(annotation) if get_origin(annotation) is types.UnionType else (annotation,)
    models = [choice for choice in choices if _is_model(choice)]
    return models[0] if models else None


def _is_model(choice: object) -> bool:
    return isinstance(choice, type) and issubclass(choice, BaseModel)


def _driver_paths() -> Iterator[list[str]]:
    """The paths of each key of a driver, one for each name that the driver goes by."""
    entries = entry_points(group=ENTRY_POINT_GROUP)
    modules = {entry.name: entry.value for entry in entries}
    for driver in describe_drivers():
        if driver.distribution == "registry-storage":
            module = modules[driver.name]
            names = [name for name, other in modules.items() if other == module]
            yield from ([f"storage.{name}.{key}" for name in names] for key in driver.config_keys)


def _commands(group: typer.core.TyperGroup, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def _every_command() -> list[str]:
    from registry_server.cli import app

    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return list(_commands(group))


def test_every_setting_is_in_the_reference() -> None:
    text = CONFIGURATION.read_text()
    missing = [
        path
        for path in _paths(Settings)
        if path not in DRIVER_PLACEHOLDERS and f"`{path}`" not in text
    ]
    assert not missing, "\n".join(missing)


def test_every_setting_of_a_driver_is_in_the_reference() -> None:
    paths = list(_driver_paths())
    assert ["storage.filesystem.rootdirectory"] in paths
    text = CONFIGURATION.read_text()
    missing = [names[0] for names in paths if not any(f"`{path}`" in text for path in names)]
    assert not missing, "\n".join(missing)


def test_every_command_is_in_the_reference() -> None:
    text = COMMAND_LINE.read_text()
    missing = [name for name in _every_command() if f"registry-server {name}" not in text]
    assert not missing, "\n".join(missing)
