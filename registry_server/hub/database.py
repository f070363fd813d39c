"""The hub's database: a file beside the catalog's, or tables of its own in PostgreSQL."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from registry_server.hub.tables import metadata
from registry_server.settings.hub import HubSettings
from registry_server.settings.model import Settings
from registry_storage.databases import Database, Schema
from registry_storage.errors import ConfigurationInvalid

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


async def open_by_operator(
    settings: Settings, resources: AsyncExitStack
) -> tuple[HubSettings, Database]:
    """Open it for a command, which may run while the hub is served; `resources` close it.

    Raises as `Database.open_with`, and `ConfigurationInvalid` where there is no hub.
    """
    if settings.auth.hub is None:
        raise ConfigurationInvalid("auth.hub: there is no hub; set it (REGISTRY_AUTH=hub)")
    database = await open_database(settings)
    resources.push_async_callback(database.close)
    return settings.auth.hub, database


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
