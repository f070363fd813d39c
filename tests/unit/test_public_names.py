"""What a module promises in `__all__` is there, and says what it is."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from types import ModuleType

import pytest

import registry_storage
from registry_storage import Registry, Repository, errors
from registry_storage.maintenance.janitor import Janitor
from tests.architecture.source import ROOT, modules


def _modules_with_public_names() -> list[str]:
    return [
        module.name
        for module in modules()
        if any(isinstance(node, ast.Assign) and _names_all(node) for node in module.tree.body)
    ]


def _names_all(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)


def _public(module: ModuleType) -> list[tuple[str, object]]:
    return [(name, getattr(module, name)) for name in module.__all__]


def test_the_library_says_what_is_public() -> None:
    assert {"Registry", "Repository", "Digest"} <= set(registry_storage.__all__)


@pytest.mark.parametrize("name", _modules_with_public_names())
def test_every_public_name_exists_once(name: str) -> None:
    module = importlib.import_module(name)
    assert [key for key in module.__all__ if not hasattr(module, key)] == []
    assert len(set(module.__all__)) == len(module.__all__)


def test_public_classes_and_functions_have_docstrings() -> None:
    bare = [
        name
        for name, value in _public(registry_storage)
        if (inspect.isclass(value) or inspect.isroutine(value)) and not value.__doc__
    ]
    assert not bare


def test_the_library_page_lists_every_call_and_every_name() -> None:
    page = (ROOT / "docs/reference/library.md").read_text()
    calls = [
        name
        for owner in (Registry, Repository, Janitor)
        for name in vars(owner)
        if not name.startswith("_") and name != "name"
    ]
    wanted = [*registry_storage.__all__, *calls]
    assert [name for name in wanted if not re.search(rf"\b{name}\b", page)] == []


def test_the_library_page_names_errors_that_exist() -> None:
    page = (ROOT / "docs/reference/library.md").read_text()
    raised = {
        name
        for row in re.findall(r"^\|.*\|.*\|(.*)\|$", page, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert len(raised) > 10
    assert [name for name in raised if not hasattr(errors, name)] == []
