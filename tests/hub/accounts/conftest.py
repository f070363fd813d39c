"""Accounts on each kind of database, with passwords that cost little."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import Connection, text

from registry_server.hub.accounts import Accounts, open_accounts, passwords
from registry_server.hub.records.users import User
from registry_server.limits import LoginLimit
from registry_server.limits.table import Table
from registry_server.settings import Settings
from registry_server.settings.hub import HubSettings
from registry_storage.databases import Database
from tests.hub.accounts.people import BY, PASSWORD, any_name

MANY = 100_000
"""Logins a minute: what is counted in the database is to be seen alone."""


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)


@pytest.fixture
def hub_part() -> HubSettings:
    """`auth: hub` without anything else."""
    settings = Settings.model_validate({"storage": {"driver": "memory"}, "auth": {"hub": {}}})
    assert settings.auth.hub is not None
    return settings.auth.hub


@pytest.fixture
async def accounts(
    hub_database: Database, hub_part: HubSettings, cheap_passwords: None
) -> AsyncIterator[Accounts]:
    """The services over an empty database, on each kind in turn."""
    async with AsyncExitStack() as resources:
        limit = LoginLimit(Table.of_process(), MANY)
        yield open_accounts(hub_database, hub_part, limit, resources, any_name)


@pytest.fixture
async def ann(accounts: Accounts) -> User:
    """Somebody with a password."""
    return await accounts.users.create(BY, "ann", PASSWORD)


@pytest.fixture
async def root(accounts: Accounts) -> User:
    """An administrator, so that others may be disabled."""
    return await accounts.users.create(BY, "root", is_admin=True)


async def run_sql(database: Database, statement: str, **values: object) -> None:
    """Change rows as time would, or a thief."""

    def run(tx: Connection) -> None:
        tx.execute(text(statement), values)

    await database.write(run)


async def look_up(database: Database, question: str) -> Any:
    """The one value that answers it."""

    def read(tx: Connection) -> Any:
        return tx.execute(text(question)).scalar_one()

    return await database.read(read)


async def all_rows(database: Database) -> str:
    """Everything that the hub's tables say."""

    def read(tx: Connection) -> str:
        from registry_server.hub.tables import metadata

        found = []
        for table in metadata.sorted_tables:
            found += [repr(tuple(row)) for row in tx.execute(table.select())]
        return "\n".join(found)

    return await database.read(read)
