"""The removal of a whole repository: all or nothing, and at once."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, select

from registry_storage.catalog import events, repositories, upload_ends
from registry_storage.catalog.protocols import BLOBS, PAYLOADS
from registry_storage.catalog.tables import (
    manifest_blobs,
    manifest_children,
    manifests,
    pulls,
    redirects,
    reference_digests,
    repository_blobs,
    tags,
)
from registry_storage.catalog.tables import repositories as repository
from registry_storage.catalog.upload_ends import Abandoned
from registry_storage.catalog.uploads import Terms

_LOCK = select(repository.c.id).where(repository.c.name == bindparam("name")).with_for_update()
_BLOBS, _MANIFESTS = (
    select(held.c.digest).where(held.c.repository_id == bindparam("repository_id"))
    for held in (repository_blobs, manifests)
)
# What refers to something goes before it.
_CLEAR = tuple(
    delete(table).where(table.c.repository_id == bindparam("repository_id"))
    for table in (
        tags,
        manifest_blobs,
        manifest_children,
        reference_digests,
        manifests,
        repository_blobs,
        pulls,
        redirects,
    )
)
_DELETE = delete(repository).where(repository.c.id == bindparam("repository_id"))


def delete_repository(
    tx: Connection, name: str, *, terms: Terms, actor: str = ""
) -> list[Abandoned]:
    """Delete a repository and all it holds; return the uploads that the driver has yet to forget.

    What no other repository holds becomes garbage.  A push under way either came before, and goes
    too, or fails and leaves nothing.  Raises `RepositoryUnknown`.
    """
    repository_id = tx.scalar(_LOCK, {"name": name})
    if repository_id is None:
        raise repositories.unknown(name)
    this = {"repository_id": repository_id}
    abandoned = upload_ends.abandon_all_of(tx, repository_id, terms=terms)
    # Nobody adds to a repository whose row is locked, but blobs of it may be on their way out.
    blobs, payloads = (tx.scalars(statement, this).all() for statement in (_BLOBS, _MANIFESTS))
    BLOBS.lock_all_for_deletion(tx, blobs)
    PAYLOADS.lock_all_for_deletion(tx, payloads)
    for statement in (*_CLEAR, _DELETE):
        tx.execute(statement, this)
    BLOBS.drop_all_with_last_holder(tx, blobs, garbage_delay=terms.garbage_delay)
    PAYLOADS.drop_all_with_last_holder(tx, payloads, garbage_delay=terms.garbage_delay)
    details = {"manifests": len(payloads)}
    events.record(tx, events.REPOSITORY_DELETED, name, actor, details)
    return abandoned
