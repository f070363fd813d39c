"""The catalog, open.  The modules beside this one hold its operations, a noun each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from registry_storage.catalog import blobs, manifests
from registry_storage.catalog.blobs import BlobRow
from registry_storage.catalog.manifests import ManifestRow
from registry_storage.catalog.pulls import PooledPulls, PullReader, SqlitePulls
from registry_storage.catalog.tables import metadata
from registry_storage.databases import Database, Schema
from registry_storage.databases.engine import open_backend
from registry_storage.databases.postgresql import PostgresqlDatabase
from registry_storage.databases.sqlite import SqliteDatabase

SCHEMA: Final = Schema(
    name="catalog",
    setting="catalog.url",
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    version_table="alembic_version",
)


class Catalog(Database):
    """A catalog, open, for the process that opened it: each worker opens its own after a fork."""

    def __init__(self, url: str, backend: SqliteDatabase | PostgresqlDatabase) -> None:
        super().__init__(url, backend)
        self.pulls: Final = _pulls(backend)
        """The reads that nearly every request begins with, which cost least."""

    @classmethod
    async def open(cls, url: str) -> Catalog:
        """Open the database of an SQLAlchemy URL; as `Database.open_with`."""
        return cls(url, await open_backend(url, SCHEMA))

    async def promise_blob(self, repository: str, digest: str, *, lease: int) -> BlobRow | None:
        """As `blobs.promise`; writes only where the lease has to be renewed."""
        found = await self.pulls.kept_blob(repository, digest, lease)
        if found is None or found[1]:
            return found and found[0]
        return await self.write(blobs.promise, repository, digest, lease=lease)

    async def promise_manifest(
        self, repository: str, reference: str, *, lease: int
    ) -> ManifestRow | None:
        """As `manifests.promise`; writes only where the lease has to be renewed."""
        found = await self.pulls.kept_manifest(repository, reference, lease)
        if found is None or found[1]:
            return found and found[0]
        return await self.write(manifests.promise, repository, reference, lease=lease)


def _pulls(backend: SqliteDatabase | PostgresqlDatabase) -> PullReader:
    if isinstance(backend, SqliteDatabase):
        return SqlitePulls(backend.in_loop)
    return PooledPulls(backend.read)
