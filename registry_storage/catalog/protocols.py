"""The two protocols that blobs and manifests have in common.

*Shared* rows (`blobs`, `manifest_payloads`) say where bytes lie; repositories hold them together,
and a row goes with the last of its holders.  *Held* rows (`repository_blobs`, `manifests`) say that
one repository has the content: something in it names the content, or a lease keeps it.

The order of locks is the same everywhere, so that nobody waits in a circle:

    repositories -> namespaces -> uploads -> blobs, manifest_payloads by digest
        -> repository_blobs by digest -> manifests by digest

SQLite has one writer at a time; its compiler leaves the locking clauses out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Exists,
    Row,
    Select,
    Table,
    bindparam,
    case,
    delete,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from registry_storage.catalog import garbage
from registry_storage.catalog.tables import (
    blobs,
    manifest_blobs,
    manifest_children,
    manifest_payloads,
    manifests,
    repository_blobs,
    tags,
)
from registry_storage.databases.types import db_now

CHUNK = 500
"""How many digests one statement names; SQLite may be built to bind no more than 999 values."""


class SharedRows:
    """Rows that say where the bytes of a digest lie, for all repositories that hold it."""

    def __init__(self, table: Table, holders: Table) -> None:
        this = table.c.digest == bindparam("digest")
        where = select(table.c.location, table.c.driver).where(this)
        add = insert(table).on_conflict_do_nothing()
        self._add = add.execution_options(preserve_rowcount=True)
        self._meet = where.with_for_update(read=True, key_share=True)
        self._lock = where.with_for_update()
        drop = (
            delete(table)
            .where(~exists().where(holders.c.digest == table.c.digest))
            .returning(table.c.location, table.c.driver)
        )
        self._drop = drop.where(this)
        these = table.c.digest.in_(bindparam("digests", expanding=True))
        self._lock_all = (
            select(table.c.digest).where(these).order_by(table.c.digest).with_for_update()
        )
        self._drop_all = drop.where(these)

    def add_or_meet(self, tx: Connection, values: Mapping[str, Any]) -> str:
        """Add a row, or meet the one of the same digest; return the location that holds.

        Either way it cannot go before the end of the transaction.  The row that was met may be
        deleted before it is locked: then there is room for one's own.
        """
        while tx.execute(self._add, values).rowcount == 0:
            winner = self.lock_against_deletion(tx, values["digest"])
            if winner is not None:
                return str(winner.location)
        return str(values["location"])

    def lock_against_deletion(self, tx: Connection, digest: str) -> Row[Any, Any] | None:
        """The row's location and driver, which stay until the end of the transaction."""
        return tx.execute(self._meet, {"digest": digest}).first()

    def lock_for_deletion(self, tx: Connection, digest: str) -> bool:
        """Whether there is a row; nobody can begin to hold it before the transaction ends."""
        return tx.execute(self._lock, {"digest": digest}).first() is not None

    def drop_with_last_holder(self, tx: Connection, digest: str, *, garbage_delay: int) -> None:
        """Drop the row, locked for deletion before, if no repository holds it any more.

        Its location is garbage `garbage_delay` milliseconds from now.
        """
        dropped = tx.execute(self._drop, {"digest": digest}).first()
        if dropped is not None:
            garbage.add(tx, dropped.location, dropped.driver, delay=garbage_delay)

    def lock_all_for_deletion(self, tx: Connection, digests: Iterable[str]) -> None:
        """As `lock_for_deletion`, of all `digests` that have rows, in their order."""
        for chunk in in_chunks(digests):
            tx.execute(self._lock_all, {"digests": chunk})

    def drop_all_with_last_holder(
        self, tx: Connection, digests: Iterable[str], *, garbage_delay: int
    ) -> None:
        """As `drop_with_last_holder`, of all `digests`, which are locked."""
        for chunk in in_chunks(digests):
            for dropped in tx.execute(self._drop_all, {"digests": chunk}).all():
                garbage.add(tx, dropped.location, dropped.driver, delay=garbage_delay)


class HeldRows:
    """Rows that say that a repository has content, with a lease for while nothing names it."""

    def __init__(self, table: Table, *users: Exists) -> None:
        # SQLAlchemy wants other names for parameters of an UPDATE than those of its columns.
        named: ColumnElement[bool] = or_(*users)
        unstamped = table.c.unreferenced_since.is_(None)
        lease_end = db_now() + bindparam("lease")
        is_fresh = table.c.leased_until >= db_now() + bindparam("fresh")
        self.is_kept = or_(unstamped, is_fresh)
        """Whether a promise needs no renewal: something names the row, or its lease is fresh."""
        these = (
            table.c.repository_id == bindparam("of_repository"),
            table.c.digest.in_(bindparam("digests", expanding=True)),
        )
        self._held = select(table.c.digest).where(*these)
        self._lock = self._held.order_by(table.c.digest).with_for_update()
        self._settle = (
            update(table)
            .where(*these, unstamped != named)
            .values(
                unreferenced_since=case((unstamped, db_now())),
                leased_until=case(
                    (unstamped & (table.c.leased_until < lease_end), lease_end),
                    else_=table.c.leased_until,
                ),
            )
        )
        self._renew = (
            update(table)
            .where(
                table.c.repository_id == bindparam("of_repository"),
                table.c.digest == bindparam("this"),
                ~self.is_kept,
            )
            .values(leased_until=lease_end)
        )

    def held(self, tx: Connection, repository_id: int | None, digests: Iterable[str]) -> set[str]:
        """Those of `digests` whose rows are there now."""
        return self._which(tx, self._held, repository_id, digests)

    def lock(self, tx: Connection, repository_id: int, digests: Iterable[str]) -> set[str]:
        """Lock the rows of `digests` that are there, in the order of digests; return which."""
        return self._which(tx, self._lock, repository_id, digests)

    def _which(
        self,
        tx: Connection,
        look: Select[Any],
        repository_id: int | None,
        digests: Iterable[str],
    ) -> set[str]:
        found: set[str] = set()
        for chunk in in_chunks(digests):
            given = {"of_repository": repository_id, "digests": chunk}
            found.update(tx.scalars(look, given).all())
        return found

    def settle(
        self, tx: Connection, repository_id: int, digests: Iterable[str], *, lease: int
    ) -> None:
        """Make the stamps of rows, locked before, agree with what names them now.

        What lost the last that named it is unreferenced from now on, and leased for `lease`
        milliseconds at least.  Only a statement that begins after the locks are held sees what
        others committed meanwhile: of two that drop the last two references, each would otherwise
        still see the other's.
        """
        for chunk in in_chunks(digests):
            given = {"of_repository": repository_id, "digests": chunk, "lease": lease}
            tx.execute(self._settle, given)

    def renew(self, tx: Connection, repository_id: int, digest: str, *, lease: int) -> None:
        """Lease an unreferenced row from now, once a quarter of its lease has passed.

        Waits for whoever is deleting the row; read again afterwards whether it is there.
        """
        given = {"of_repository": repository_id, "this": digest, "lease": lease}
        tx.execute(self._renew, {**given, "fresh": fresh(lease)})


def fresh(lease: int) -> int:
    """How much of a lease must be left for it not to be renewed: all but a quarter."""
    return lease - lease // 4


def in_chunks(digests: Iterable[str]) -> Iterator[list[str]]:
    """`digests` once each, in order, so many at a time as one statement may name."""
    ordered = sorted(set(digests))
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def _names(user: Table, column: str, held: Table) -> Exists:
    return exists().where(
        user.c.repository_id == held.c.repository_id, user.c[column] == held.c.digest
    )


_subject = manifests.alias("subject")

BLOBS = SharedRows(blobs, repository_blobs)
PAYLOADS = SharedRows(manifest_payloads, manifests)
REPOSITORY_BLOBS = HeldRows(repository_blobs, _names(manifest_blobs, "blob", repository_blobs))
MANIFESTS = HeldRows(
    manifests,
    _names(tags, "digest", manifests),
    _names(manifest_children, "child", manifests),
    exists().where(
        _subject.c.repository_id == manifests.c.repository_id,
        _subject.c.digest == manifests.c.subject,
    ),
)

_SIZED = (
    select(repository_blobs.c.digest, blobs.c.size)
    .join(blobs, blobs.c.digest == repository_blobs.c.digest)
    .where(repository_blobs.c.repository_id == bindparam("repository_id"))
    .where(repository_blobs.c.digest.in_(bindparam("digests", expanding=True)))
)
_LOCK_SIZED = _SIZED.order_by(repository_blobs.c.digest).with_for_update(of=repository_blobs)


def sized_blobs(
    tx: Connection, repository_id: int | None, digests: Iterable[str]
) -> dict[str, int]:
    """As `REPOSITORY_BLOBS.held`; return which are there and how many bytes they have."""
    return _sizes(tx, _SIZED, repository_id, digests)


def lock_sized_blobs(tx: Connection, repository_id: int, digests: Iterable[str]) -> dict[str, int]:
    """As `REPOSITORY_BLOBS.lock`; return which are there and how many bytes they have."""
    return _sizes(tx, _LOCK_SIZED, repository_id, digests)


def _sizes(
    tx: Connection, look: Select[Any, Any], repository_id: int | None, digests: Iterable[str]
) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for chunk in in_chunks(digests):
        given = {"repository_id": repository_id, "digests": chunk}
        sizes.update((digest, size) for digest, size in tx.execute(look, given).all())
    return sizes
