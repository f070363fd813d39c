"""The project's source files, read as syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

PACKAGES = ("registry_storage", "registry_server", "plugins_example")


@dataclass(frozen=True, slots=True)
class Module:
    """One source file; `name` is the dotted name under which it is imported."""

    path: Path
    name: str
    tree: ast.Module
    line_count: int

    @property
    def is_package(self) -> bool:
        """Whether this is a package's `__init__.py`."""
        return self.path.name == "__init__.py"

    @property
    def is_migration(self) -> bool:
        """Whether this is a step of the catalog's migrations: written once, then kept."""
        return "/migrations/" in self.path.as_posix()

    def imports(self) -> Iterator[str]:
        """The dotted name of everything it imports: `a.b` for `import a.b`, `a.b.c` for
        `from a.b import c`, wherever in the file that stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                yield from (f"{base}.{alias.name}" for alias in node.names)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function and method, nested ones included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".")
        climb = node.level - 1 if self.is_package else node.level
        base = package[: len(package) - climb] if climb else package
        return ".".join([*base, node.module] if node.module else base)


def parse(path: Path, name: str, text: str) -> Module:
    """A module made of `text`."""
    return Module(path, name, ast.parse(text, str(path)), text.count("\n"))


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the packages, tests of the example plug-in aside."""
    return tuple(
        parse(path, _dotted_name(path), path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not {"tests", "build"} & set(path.parts[len(ROOT.parts) :])
    )


def _dotted_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
