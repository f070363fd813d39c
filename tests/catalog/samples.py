"""Content for the tests of the catalog, and the operations on it that they need most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Table, func, select

from registry_storage.catalog import Catalog, blobs, manifests
from registry_storage.catalog.blobs import BlobRow
from registry_storage.catalog.manifests import ManifestRecord
from registry_storage.catalog.tables import repository_blobs
from registry_storage.catalog.uploads import Terms
from registry_storage.databases.types import db_now
from registry_storage.digest import Digest

REPOSITORY = "team/app"
OTHER = "team/other"
HOUR = 3_600_000
DRIVER = "memory"
UPLOAD_TERMS = Terms(driver=DRIVER, lease=HOUR, lifetime=HOUR, answered=HOUR, garbage_delay=0)
TERMS: dict[str, Any] = {"lease": HOUR, "garbage_delay": 0}


def digest(name: str) -> str:
    """A digest that is always the same for `name`."""
    return Digest.of(name.encode())


def record(name: str, blobs: Sequence[str] = (), **more: Any) -> ManifestRecord:
    """A manifest called `name` of blobs called `blobs`, as `push_blob` stores them."""
    plain = ManifestRecord(
        digest=digest(name),
        media_type="application/vnd.oci.image.manifest.v1+json",
        payload=name.encode(),
        location=f"manifest-{name}",
        driver=DRIVER,
        blobs=tuple((digest(blob), len(blob)) for blob in blobs),
    )
    return replace(plain, **more)


def link(
    tx: Connection,
    name: str,
    repository: str = REPOSITORY,
    *,
    location: str = "",
    lease: int = HOUR,
) -> BlobRow:
    """Store a blob called `name`, in the transaction of the caller."""
    where = location or f"blob-{name}"
    return blobs.link(tx, repository, digest(name), len(name), where, DRIVER, lease=lease)


async def push_blob(
    catalog: Catalog, name: str, repository: str = REPOSITORY, **more: Any
) -> BlobRow:
    """Store a blob called `name`."""
    return await catalog.write(link, name, repository, **more)


async def push(
    catalog: Catalog,
    name: str,
    tags: Sequence[str] = (),
    blobs: Sequence[str] = (),
    repository: str = REPOSITORY,
    lease: int = HOUR,
    may_move_tags: bool = True,
    actor: str = "",
    **more: Any,
) -> str:
    """Store a manifest called `name` and its blobs; return its digest."""
    for blob in blobs:
        await push_blob(catalog, blob, repository)
    await catalog.write(
        manifests.put,
        repository,
        record(name, blobs, **more),
        tags,
        lease=lease,
        garbage_delay=0,
        may_move_tags=may_move_tags,
        actor=actor,
    )
    return digest(name)


async def count(catalog: Catalog, table: Table) -> int:
    """How many rows `table` has."""
    found: int = await catalog.read(lambda tx: tx.scalar(select(func.count()).select_from(table)))
    return found


async def stamp(
    catalog: Catalog, held: Table, name: str, repository_id: int = 1
) -> tuple[bool, int]:
    """Of a row of `repository_blobs` or `manifests`: whether it is unreferenced, and the
    milliseconds that are left of its lease."""
    statement = select(held.c.unreferenced_since.isnot(None), held.c.leased_until - db_now()).where(
        held.c.repository_id == repository_id, held.c.digest == digest(name)
    )
    unreferenced, left = await catalog.read(lambda tx: tx.execute(statement).one())
    return bool(unreferenced), left


def expire(tx: Connection, held: Table = repository_blobs) -> None:
    """Let all leases of `held` run out now."""
    tx.execute(held.update().values(leased_until=db_now() - 1))
