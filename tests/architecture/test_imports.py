"""Every import keeps to the layers, and the rules themselves refuse what they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.layers import objection
from tests.architecture.source import modules, parse


def test_every_import_keeps_to_the_layers() -> None:
    found = {
        f"{module.name} imports {imported}: {reason}"
        for module in modules()
        for imported in module.imports()
        if (reason := objection(module.name, imported))
    }
    assert not found, "\n".join(sorted(found))


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("registry_storage.names", "registry_storage.catalog.tables"),
        ("registry_storage.manifests", "pydantic.BaseModel"),
        ("registry_storage.drivers.api", "registry_storage.hookspecs.hookimpl"),
        ("registry_storage.drivers.memory", "registry_storage.drivers.filesystem.Filesystem"),
        ("registry_storage.drivers.memory", "registry_storage.uploads"),
        ("registry_storage.drivers.composite.mirror", "registry_storage.drivers.filesystem"),
        ("registry_storage.drivers.wrappers.retry", "registry_storage.catalog.store"),
        ("registry_storage.drivers.s3", "sqlalchemy.select"),
        ("registry_storage.catalog.store", "registry_storage.uploads"),
        ("registry_storage.uploads", "registry_storage.drivers.filesystem"),
        ("registry_storage.uploads", "sqlalchemy"),
        ("registry_storage.registry", "aiohttp.web"),
        ("registry_storage.registry", "registry_server.settings"),
        ("registry_storage.testing.suite", "registry_storage.catalog.tables"),
        ("registry_server.api.blobs", "registry_server.hub.accounts"),
        ("registry_server.app", "registry_storage.uploads"),
        ("registry_server.app", "registry_storage.parts.cut"),
        ("registry_server.app", "registry_storage.catalog.store.Catalog"),
        ("registry_server.app", "sqlalchemy"),
        ("plugins_example.driver", "registry_storage.catalog.tables"),
    ],
)
def test_a_forbidden_import_is_named(importer: str, imported: str) -> None:
    assert objection(importer, imported)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("registry_storage.names", "registry_storage.digest.Digest"),
        ("registry_storage.names", "re"),
        ("registry_storage.parts", "registry_storage.drivers.api.PartLimits"),
        ("registry_storage.drivers.s3.client", "registry_storage.drivers.s3.errors"),
        ("registry_storage.drivers.s3", "registry_storage.drivers._blocking.run"),
        ("registry_storage.drivers.s3", "boto3"),
        ("registry_storage.drivers.composite.cache", "registry_storage.drivers.wrappers.base"),
        ("registry_storage.catalog.store", "sqlalchemy.select"),
        ("registry_storage.uploads", "registry_storage.catalog.store"),
        ("registry_server.app", "registry_storage.errors.RegistryError"),
        ("registry_server.app", "registry_storage.Registry"),
        ("registry_server.app", "aiohttp.web"),
        ("registry_server.hub.views", "registry_server.api.routes"),
        ("plugins_example.driver", "registry_storage.hookspecs.hookimpl"),
        ("plugins_example.driver", "sqlalchemy"),
    ],
)
def test_an_allowed_import_passes(importer: str, imported: str) -> None:
    assert objection(importer, imported) is None


def test_imports_are_seen_wherever_they_stand() -> None:
    text = "import a.b\nfrom . import c\nfrom ..d import e\ndef f():\n    from g import h\n"
    module = parse(Path("x/y/z.py"), "x.y.z", text)
    assert set(module.imports()) == {"a.b", "x.y.c", "x.d.e", "g.h"}


def test_a_package_is_its_own_relative_base() -> None:
    module = parse(Path("x/y/__init__.py"), "x.y", "from .z import a\nfrom .. import b\n")
    assert set(module.imports()) == {"x.y.z.a", "x.b"}
