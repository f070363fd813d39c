"""Whose store is it?  The marker in the driver and the row in the catalog that must match.

A catalog that was copied, or restored from a backup, must not work on the real one's store: what it
deletes could be what the other has just stored.  So the store holds a *marker*, a small blob that
names the store and a random token, and the catalog holds the same token.  Each term of the janitor
draws a fresh one: first into the row as `next`, then as a new marker, then as `current`.  A catalog
neither of whose tokens is the newest marker's does not own the store.  The newest is that of the
latest term: stores tell times to the second, and two terms may begin in one.

First start: row first, marker second; a row whose marker was never confirmed writes it again.
"""

from __future__ import annotations

import json
import logging
import secrets
import uuid

from registry_storage.catalog import Catalog, ownership
from registry_storage.catalog.ownership import StoreRow
from registry_storage.digest import Digest
from registry_storage.drivers.api import BlobKind, Driver, ForeignData, Mark, StoredBlob
from registry_storage.errors import BlobNotFound, StoreMismatch

_RESOLUTIONS = (
    "Configure the catalog that belongs to this store, or, if this catalog shall own it from now "
    "on, run 'registry-server adopt'"
)

logger = logging.getLogger(__name__)


class Ownership:
    """Checks and renews the bond between a catalog and the store of a driver."""

    def __init__(self, driver: Driver, catalog: Catalog) -> None:
        self._driver = driver
        self._catalog = catalog

    async def verify(self) -> None:
        """Make sure that the catalog owns the store; claim a store that is new.

        Raises `StoreMismatch`, whose message says why and what resolves it.
        """
        if await self._row() is None:
            await self._claim_new_store()
        row, newest = await self._bond()
        assert row is not None, "rows of stores are never removed"
        if row.current_token is None and (newest is None or _is_marked_by(row, newest)):
            await self._confirm(row)
        elif newest is None:
            raise StoreMismatch(
                "the catalog belongs to a store, but this one has no marker: it is empty, or not "
                f"the one that the catalog knows. {_RESOLUTIONS}"
            )
        elif not _is_marked_by(row, newest):
            raise StoreMismatch(
                "another catalog owns this store: this one is a copy, was restored from a backup, "
                f"or belongs elsewhere. {_RESOLUTIONS}"
            )

    async def owns(self) -> bool:
        """Whether the newest marker is this catalog's: asked before every round of deletions."""
        row, newest = await self._bond()
        return row is not None and newest is not None and _is_marked_by(row, newest)

    async def begin_term(self) -> None:
        """Draw a fresh token, so that copies of the catalog made before lose the store."""
        row, newest = await self._bond()
        if row is None or newest is None or not _is_marked_by(row, newest):
            return
        if row.next_token and _has_token(row, row.next_token, newest):
            # A term that ended between its marker and its row: catch up before the next draw.
            await self._catalog.write(ownership.confirm, row.next_token)
        await self._confirm(await self._catalog.write(ownership.draw_next, secrets.token_hex(16)))

    async def adopt(self) -> None:
        """Claim the store for this catalog, whoever owned it.  What it holds is never swept."""
        terms = [await self._term_of(marker) for marker in await self._markers()]
        token = _new_token(after=max(terms, default=0))
        await self._confirm(await self._catalog.write(ownership.adopt, uuid.uuid4().hex, token))

    async def _row(self) -> StoreRow | None:
        return await self._catalog.read(ownership.read)

    async def _bond(self) -> tuple[StoreRow | None, StoredBlob | None]:
        """The row and the newest marker of one moment.

        Between two looks another node may begin a term, after which neither is what it was.
        """
        row = await self._row()
        while True:
            newest, before = await self._newest_marker(), row
            row = await self._row()
            if row == before:
                return row, newest

    async def _claim_new_store(self) -> None:
        found = await self._contents()
        if await self._row() is not None:
            return  # another node has claimed it while we looked
        if found is not None:
            raise StoreMismatch(f"the catalog is new, but the store holds {found}. {_RESOLUTIONS}")
        logger.info("nothing is stored here yet: a new store begins (should there be images?)")
        await self._catalog.write(ownership.create, uuid.uuid4().hex, _new_token(after=0))

    async def _contents(self) -> str | None:
        foreign = self._driver.extension(ForeignData)
        described = await foreign.describe() if foreign else None
        if described is not None:
            return described
        async for _ in self._driver.list_blobs():
            return "images"
        return None

    async def _markers(self) -> list[StoredBlob]:
        return [marker async for marker in self._driver.list_blobs(BlobKind.MARKER)]

    async def _newest_marker(self) -> StoredBlob | None:
        markers = await self._markers()
        if len(markers) < 2:
            return markers[0] if markers else None
        age = {it.location: (await self._term_of(it), it.stored_at, it.location) for it in markers}
        return max(markers, key=lambda marker: age[marker.location])

    async def _term_of(self, marker: StoredBlob) -> int:
        """The number of the term that wrote the marker; 0 where it is gone or says none."""
        try:
            async with self._driver.read_blob(marker.location) as pieces:
                content = b"".join([piece async for piece in pieces])
            return ownership.term_of(json.loads(content)["token"])
        except (BlobNotFound, ValueError, KeyError, TypeError):
            return 0

    async def _confirm(self, row: StoreRow) -> None:
        """Write the marker of the row's next token, then let the row know, then drop older ones."""
        assert row.next_token is not None, "a token is drawn before its marker is written"
        older = [marker.location for marker in await self._markers()]
        content = _content(row.store_id, row.next_token)
        mark = Mark(BlobKind.MARKER, Digest.of(content))
        written = await self._driver.put_blob(uuid.uuid4().hex, [content], mark)
        if not await self._catalog.write(ownership.confirm, row.next_token):
            older = [written.location]  # another node has drawn a token meanwhile: ours is void
        await self._driver.delete_blobs(older)


def _new_token(after: int) -> str:
    return ownership.token_of(after + 1, secrets.token_hex(16))


def _content(store_id: str, token: str) -> bytes:
    return json.dumps({"store": store_id, "token": token}).encode()


def _is_marked_by(row: StoreRow, marker: StoredBlob) -> bool:
    tokens = (row.current_token, row.next_token)
    return any(_has_token(row, token, marker) for token in tokens if token is not None)


def _has_token(row: StoreRow, token: str, marker: StoredBlob) -> bool:
    """Whether that token's marker it is: the digest in its mark tells, without reading it."""
    return marker.mark is not None and marker.mark.digest == Digest.of(
        _content(row.store_id, token)
    )
