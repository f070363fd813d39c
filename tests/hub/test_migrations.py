"""The hub's schema: what the migrations make is what the code expects."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, update

from registry_server.hub.database import SCHEMA
from registry_server.hub.records import audit as records
from registry_server.hub.records.audit import OPERATOR, Deed
from registry_server.hub.tables import audit, metadata
from registry_storage.databases import Database
from registry_storage.errors import CatalogError
from tests.catalog.schemas import described, differences, remade


async def test_the_migrated_schema_is_the_code_s(hub_database: Database) -> None:
    assert await hub_database.read(differences, metadata, SCHEMA.version_table) == []
    migrated = await hub_database.read(described, metadata)
    assert await hub_database.write(remade, metadata) == migrated


async def test_an_entry_of_the_audit_log_is_never_changed(hub_database: Database) -> None:
    await hub_database.write(records.record, OPERATOR, Deed("user.created", "user:ann"))

    def forge(tx: Connection) -> None:
        tx.execute(update(audit).values(actor="bob"))

    with pytest.raises(CatalogError, match="never changed"):
        await hub_database.write(forge)
