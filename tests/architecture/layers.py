"""Who may import whom.

pure            the standard library, and each other; the driver interface is pure, too
drivers/NAME    the driver interface, private helpers of drivers/, the hooks, pure, its own SDK;
                no other driver, no core; those of drivers/composite: wrappers, too
databases       pure
catalog         pure, databases
core            pure, catalog, and itself; wrappers, but no concrete driver
testing         what a third party may import too: no catalog, no concrete driver
registry_server the public modules of registry_storage
  api           not hub
  hub           databases, for accounts
"""

from __future__ import annotations

import sys

import registry_storage

STORAGE = "registry_storage"
SERVER = "registry_server"
EXAMPLE = "plugins_example"

DRIVERS = f"{STORAGE}.drivers"
DRIVER_API = f"{DRIVERS}.api"
WRAPPERS = f"{DRIVERS}.wrappers"
COMPOSITE = f"{DRIVERS}.composite"
HOOKS = f"{STORAGE}.hookspecs"
CATALOG = f"{STORAGE}.catalog"
DATABASES = f"{STORAGE}.databases"
HUB = f"{SERVER}.hub"
TESTING = f"{STORAGE}.testing"


def _of_storage(names: str) -> tuple[str, ...]:
    return tuple(f"{STORAGE}.{name}" for name in names.split())


VALUES = _of_storage("digest errors manifests media_types names policy values")
PURE = (DRIVER_API, *VALUES, *_of_storage("buffers bytes_cache hashing parts"))
PUBLIC = (DRIVER_API, *VALUES, *_of_storage("databases plugins sync maintenance.probe"))
"""Beside the names in `registry_storage.__all__`."""

DATABASE_LIBRARIES = ("sqlalchemy", "alembic", "sqlite3", "psycopg")


def is_within(name: str, *packages: str) -> bool:
    """Whether `name` is one of `packages` or lies in it."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def objection(importer: str, imported: str) -> str | None:
    """Why `importer` must not import `imported`; None where it may."""
    if is_within(importer, STORAGE):
        return _objection_in_storage(importer, imported)
    if is_within(importer, SERVER):
        return _objection_in_server(importer, imported)
    if is_within(importer, EXAMPLE) and not is_within(imported, HOOKS, TESTING):
        return _objection_to_private(imported)
    return None


def _objection_in_storage(importer: str, imported: str) -> str | None:
    if is_within(imported, SERVER, "aiohttp"):
        return "the library knows no HTTP"
    if is_within(importer, *PURE):
        return _objection_to_pure(imported)
    if is_within(imported, *DATABASE_LIBRARIES) and not is_within(importer, CATALOG, DATABASES):
        return "only the catalog talks to a database"
    if not is_within(imported, STORAGE) or is_within(imported, *PURE):
        return None
    if is_within(importer, DRIVERS):
        return _objection_to_driver(importer, imported)
    if is_within(importer, DATABASES):
        return None if is_within(imported, DATABASES) else "databases know no schema"
    if is_within(importer, CATALOG):
        return None if is_within(imported, CATALOG, DATABASES) else "the catalog knows only facts"
    return _objection_to_core(importer, imported)


def _objection_to_pure(imported: str) -> str | None:
    if is_within(imported, *PURE) or _is_standard_library(imported):
        return None
    return "pure modules import only the standard library and each other"


def _objection_to_driver(importer: str, imported: str) -> str | None:
    if is_within(imported, HOOKS, _own_driver(importer)) or imported.startswith(f"{DRIVERS}._"):
        return None
    if is_within(importer, COMPOSITE) and is_within(imported, WRAPPERS):
        return None
    return "a driver imports its interface, shared private helpers and its SDK"


def _objection_to_core(importer: str, imported: str) -> str | None:
    if is_within(imported, DRIVERS) and not is_within(imported, WRAPPERS):
        return "the core knows no concrete driver"
    if is_within(imported, DATABASES):
        return "only the catalog talks to a database"
    if is_within(importer, TESTING) and is_within(imported, CATALOG):
        return "the suite tests drivers, without a catalog"
    return None


def _objection_in_server(importer: str, imported: str) -> str | None:
    if is_within(importer, f"{SERVER}.api") and is_within(imported, HUB):
        return "the registry half works without the hub"
    if is_within(imported, DATABASES, *DATABASE_LIBRARIES) and not is_within(importer, HUB):
        return "only the catalog and the hub talk to a database"
    return _objection_to_private(imported)


def _objection_to_private(imported: str) -> str | None:
    if not is_within(imported, STORAGE) or is_within(imported, *PUBLIC):
        return None
    if imported.removeprefix(f"{STORAGE}.") in (STORAGE, *registry_storage.__all__):
        return None
    return "outside the library only its public names are used"


def _own_driver(importer: str) -> str:
    """The driver's module or package: `registry_storage.drivers.NAME`."""
    return ".".join(importer.split(".")[:3])


def _is_standard_library(name: str) -> bool:
    return name.split(".")[0] in sys.stdlib_module_names
