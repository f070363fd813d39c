"""The hub's database: a file beside the catalog's, or tables of its own in PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from registry_server.hub.tables import metadata
from registry_server.settings.model import Settings
from registry_storage.databases import Database, Schema

SCHEMA: Final = Schema(
    name="hub",
    setting="auth.hub.database",
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    version_table="hub_alembic_version",
)


async def open_database(settings: Settings) -> Database:
    """Open it, and bring its tables up to date.  Raises as `Database.open_with`."""
    return await Database.open_with(_url(settings), SCHEMA)


def _url(settings: Settings) -> str:
    hub = settings.auth.hub
    assert hub is not None
    if hub.database is not None:
        return hub.database.get_secret_value()
    catalog = settings.catalog.url.get_secret_value() if settings.catalog.url else ""
    if catalog.startswith("postgres"):
        return catalog
    settings.data.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"sqlite:///{(settings.data.directory / 'hub.sqlite').absolute()}"
