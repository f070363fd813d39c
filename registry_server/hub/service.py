"""The hub, open: its database, the store, and every service over them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from registry_server.hub.database import open_database
from registry_server.hub.tokens.keys import SigningKeys
from registry_server.settings import Settings
from registry_server.settings.hub import HubSettings
from registry_server.settings.model import HTTPSettings
from registry_storage import Registry
from registry_storage.databases import Database


@dataclass(frozen=True, slots=True)
class Hub:
    """What the hub's routes and commands work with."""

    settings: HubSettings
    http: HTTPSettings
    database: Database
    registry: Registry
    keys: SigningKeys


async def open_hub(settings: Settings, registry: Registry, resources: AsyncExitStack) -> Hub:
    """Open it over an open store; what has to be closed again goes to `resources`.

    Raises `ConfigurationInvalid`, `CatalogError`, `CatalogUnavailable`, `NoSpace`.
    """
    hub = settings.auth.hub
    assert hub is not None
    database = await open_database(settings)
    resources.push_async_callback(database.close)
    keys = SigningKeys(database, hub.tokens)
    resources.push_async_callback(keys.close)
    await keys.start()
    return Hub(settings=hub, http=settings.http, database=database, registry=registry, keys=keys)
