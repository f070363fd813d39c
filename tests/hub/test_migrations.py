"""The hub's schema: what the migrations make is what the code expects."""

from __future__ import annotations

from registry_server.hub.database import SCHEMA
from registry_server.hub.tables import metadata
from registry_storage.databases import Database
from tests.catalog.schemas import described, differences, remade


async def test_the_migrated_schema_is_the_code_s(hub_database: Database) -> None:
    assert await hub_database.read(differences, metadata, SCHEMA.version_table) == []
    migrated = await hub_database.read(described, metadata)
    assert await hub_database.write(remade, metadata) == migrated
