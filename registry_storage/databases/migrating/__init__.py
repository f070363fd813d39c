"""Brings a database to the schema that this version of the code knows.

A revision is named GENERATION_NUMBER.  Within a generation each revision only adds to the one
before, so that code which knows an earlier one can go on with the database: nodes are upgraded one
after the other, and a node may be rolled back.  Taking something away begins a new generation,
which older code refuses.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from registry_storage.databases.schema import Schema
from registry_storage.errors import CatalogError


def migrate(connection: Connection, schema: Schema) -> None:
    """Run what is missing, in the caller's transaction; the caller holds the lock for migrations.

    Raises `CatalogError` if the database is of a newer generation than this code knows.
    """
    config = Config()
    _set_path(config, "script_location", Path(__file__).parent)
    _set_path(config, "version_locations", schema.migrations)
    config.set_main_option("path_separator", "newline")
    config.attributes.update(connection=connection, schema=schema)
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    newest = max(known)
    options = {"version_table": schema.version_table}
    current = MigrationContext.configure(connection, opts=options).get_current_revision()
    if current is None or current in known:
        command.upgrade(config, "head")
    elif _generation(current) != _generation(newest):
        raise CatalogError(
            f"the {schema.name} has schema {current}, and this version knows up to {newest}: "
            f"run the version that the {schema.name} was last used with, or a newer one"
        )


def _set_path(config: Config, option: str, path: Path) -> None:
    config.set_main_option(option, str(path).replace("%", "%%"))


def _generation(revision: str) -> str:
    return revision.partition("_")[0]
