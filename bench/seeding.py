"""Many tags and repositories, written straight into the catalog of a server that is not running."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from registry_storage.catalog import tables

REPOSITORY = "bench/listing"
"""Holds the one manifest that everything made here names."""

_BATCH = 20_000


def tags(root: Path, count: int) -> str:
    """Fill `REPOSITORY` up to `count` tags made here; the name of the one in the middle."""
    with _catalog(root).begin() as connection:
        manifest = _manifest(connection)
        present = _count(connection, tables.tags, "t%")
        rows = (
            {"repository_id": manifest.repository_id, "name": f"t{n:09}", "digest": manifest.digest}
            for n in range(present, count)
        )
        _insert(connection, tables.tags, rows)
    return f"t{count // 2:09}"


def repositories(root: Path, count: int) -> str:
    """Fill the catalog up to `count` repositories made here, each with a manifest; the name of the
    one in the middle."""
    with _catalog(root).begin() as connection:
        manifest = _manifest(connection)
        present = _count(connection, tables.repositories, "bench/r0%")
        names = ({"name": f"bench/r{n:09}", "listed": True} for n in range(present, count))
        _insert(connection, tables.repositories, names)
        _give_manifest(connection, manifest)
    return f"bench/r{count // 2:09}"


def _catalog(root: Path) -> sa.Engine:
    return sa.create_engine(f"sqlite:///{root}/catalog.sqlite", poolclass=sa.NullPool)


def _manifest(connection: sa.Connection) -> sa.Row[tuple[object, ...]]:
    manifests, names = tables.manifests.c, tables.repositories.c
    joined = tables.manifests.join(tables.repositories, manifests.repository_id == names.id)
    query = sa.select(tables.manifests).select_from(joined).where(names.name == REPOSITORY)
    return connection.execute(query).one()


def _count(connection: sa.Connection, table: sa.Table, pattern: str) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(table.c.name.like(pattern))
    return int(connection.scalar(query) or 0)


def _give_manifest(connection: sa.Connection, manifest: sa.Row[tuple[object, ...]]) -> None:
    """Give a copy of the manifest's row to every repository that has none."""
    columns = [column for column in tables.manifests.c if column.name != "repository_id"]
    has_one = sa.exists().where(tables.manifests.c.repository_id == tables.repositories.c.id)
    source = sa.select(
        tables.repositories.c.id,
        *(sa.literal(getattr(manifest, column.name), column.type) for column in columns),
    ).where(~has_one)
    names = ["repository_id", *(column.name for column in columns)]
    connection.execute(tables.manifests.insert().from_select(names, source))


def _insert(
    connection: sa.Connection, table: sa.Table, rows: Iterator[Mapping[str, object]]
) -> None:
    while batch := list(islice(rows, _BATCH)):
        connection.execute(table.insert(), batch)
