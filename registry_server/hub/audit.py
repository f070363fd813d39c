"""The audit log: who did what to what, and from where.

What changes the hub's tables is recorded in the transaction that changes them (`record`).  What
changes the catalog comes from the catalog's own events, which every hub copies here, each event
once.  Of a push only what it leads to is told, not each of its blobs.  Nothing is ever changed, and
nothing removed before its time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection

from registry_server.hub.records import audit, readers
from registry_server.hub.records.audit import By, Deed, Entry, Mark, Search
from registry_server.settings.hub import AuditSettings
from registry_storage import Change, Registry
from registry_storage.databases import Database
from registry_storage.errors import RegistryError
from registry_storage.names import namespace_of

READER: Final = "audit"
LOOK_SECONDS: Final = 2.0
CLEAN_SECONDS: Final = 600.0
AT_ONCE: Final = 500
"""Events copied, or entries removed, in one transaction."""
UNTOLD: Final = frozenset({"blob.linked", "blob.mounted"})

log = logging.getLogger(__name__)


class AuditLog:
    """The log in the hub's database; `run` keeps it complete and short."""

    def __init__(self, database: Database, registry: Registry, settings: AuditSettings) -> None:
        self._database = database
        self._registry = registry
        self._retention = round(settings.retention * 1000)
        self._task: asyncio.Task[None] | None = None
        self._complaint = ""

    async def find(
        self, search: Search, *, before: Mark | None = None, limit: int = 100
    ) -> list[Entry]:
        """What fits, the newest first: at most `limit` entries that stand before `before`."""
        return await self._database.read(audit.find, search, before=before, limit=limit)

    def start(self) -> None:
        """Begin to copy events, and to remove what is old."""
        self._task = asyncio.create_task(self._run(), name="keep the audit log")

    async def close(self) -> None:
        """Stop that."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def catch_up(self) -> None:
        """Copy all events that are there."""
        while await self._copy_some():
            pass

    async def clean(self) -> None:
        """Remove all entries that are older than the retention."""
        while await self._database.write(audit.forget, self._retention, AT_ONCE) == AT_ONCE:
            pass

    async def _copy_some(self) -> bool:
        """Copy the next events; whether there may be more."""
        position = await self._database.read(readers.position, READER)
        changes = await self._registry.events(position, AT_ONCE)
        if changes:
            await self._database.write(_copy, position, changes)
        elif (last := await self._registry.last_event()) < position:
            log.warning("the catalog is older than its audit log, as one from a backup would be")
            await self._database.write(readers.advance, READER, position, last)
        return len(changes) == AT_ONCE

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        clean_at = loop.time()
        while True:
            try:
                await self.catch_up()
                if loop.time() >= clean_at:
                    await self.clean()
                    clean_at = loop.time() + CLEAN_SECONDS
            except RegistryError as error:
                self._complain(str(error))
            else:
                self._complaint = ""
            await asyncio.sleep(LOOK_SECONDS)

    def _complain(self, told: str) -> None:
        """Once for each fault, not once for each time of looking."""
        if told != self._complaint:
            log.error("events wait to be copied into the audit log: %s", told)
        self._complaint = told


def _copy(tx: Connection, position: int, changes: Sequence[Change]) -> None:
    if readers.advance(tx, READER, position, changes[-1].position):
        told = [change for change in changes if change.kind not in UNTOLD]
        audit.copy(tx, [(change.occurred_at, *_deed_of(change)) for change in told])


def _deed_of(change: Change) -> tuple[By, Deed]:
    by = By(change.actor, change.origin)
    if change.repository is None:
        namespace = str(change.details.get("namespace", ""))
        target = f"namespace:{namespace}"
    else:
        namespace = namespace_of(change.repository)
        target = f"repository:{change.repository}"
    return by, Deed(change.kind, target, namespace, change.details)
