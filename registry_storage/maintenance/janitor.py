"""The janitor: what has to be done again and again, by one process of the whole cluster.

    number       give events their positions
    expire       abort uploads that nobody went on with, and those that no row names
    delete       the bytes of what is due in `garbage`
    checkpoint   keep SQLite's write-ahead log short

A lease in the catalog says who is the janitor; where its holder dies, another takes over when it
has run out.  Each term begins by renewing the bond between catalog and store, and nothing is
deleted while another catalog owns the store.  Whatever fails is logged, kept, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from registry_storage.catalog import Catalog, garbage, leases, sequencer, upload_ends, uploads
from registry_storage.drivers.api import Driver, Handle
from registry_storage.errors import RegistryError
from registry_storage.policy import StorePolicy
from registry_storage.uploads.context import milliseconds, terms_of
from registry_storage.uploads.publishing import forget_upload

logger = logging.getLogger(__name__)

LEASE: Final = "janitor"
TERM: Final = 30.0
"""How long the office stays with a holder that died, in seconds."""
RENEWAL: Final = 10.0
BATCH: Final = 500
"""How many rows one transaction looks at."""


class Ownership(Protocol):
    """The bond between the catalog and the store."""

    async def begin_term(self) -> None:
        """Renew it, so that copies of the catalog made before lose the store."""

    async def owns(self) -> bool:
        """Whether the store is this catalog's."""


@dataclass(slots=True)
class _Chore:
    """Something to do every `interval` seconds, at once again where it answers: more is left."""

    interval: float
    work: Callable[[], Awaitable[bool]]
    due: float = 0.0


class Janitor:
    """One candidate for the cluster's janitor.  `ownership` None: the store is certainly ours."""

    def __init__(
        self,
        driver: Driver,
        catalog: Catalog,
        policy: StorePolicy,
        ownership: Ownership | None = None,
    ) -> None:
        self._driver = driver
        self._catalog = catalog
        self._terms = terms_of(driver, policy)
        self._lifetime = timedelta(seconds=policy.upload_lifetime)
        self._ownership = ownership
        self._holder = secrets.token_hex(16)
        self._in_office = False
        self._application = _Chore(RENEWAL, self._apply)
        self._chores = (
            _Chore(1.0, self._number_events),
            _Chore(1.0, self._checkpoint),
            _Chore(60.0, self._expire_uploads),
            _Chore(60.0, self._delete_garbage),
            _Chore(3600.0, self._abort_unknown_uploads),
        )

    @property
    def in_office(self) -> bool:
        """Whether this candidate is the janitor."""
        return self._in_office

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then somebody else may at once."""
        while not stop.is_set():
            await self.tick()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)
        await self.resign()

    async def tick(self) -> None:
        """Apply for the office, and do what is due if it is ours."""
        now = time.monotonic()
        await _attempt(self._application, now)
        for chore in self._chores:
            if self._in_office:
                await _attempt(chore, now)

    async def resign(self) -> None:
        """Leave the office to whoever asks next."""
        if self._in_office:
            self._in_office = False
            with suppress(RegistryError):
                await self._catalog.write(leases.release, LEASE, self._holder)

    # The office

    async def _apply(self) -> bool:
        had_it = self._in_office
        self._in_office = False
        granted = await self._catalog.write(leases.acquire, LEASE, self._holder, milliseconds(TERM))
        if granted and not had_it and self._ownership is not None:
            await self._ownership.begin_term()
        self._in_office = granted
        return False

    # Chores

    async def _number_events(self) -> bool:
        await self._catalog.write(sequencer.number, LEASE, self._holder, milliseconds(TERM))
        return False

    async def _checkpoint(self) -> bool:
        await self._catalog.checkpoint()
        return False

    async def _expire_uploads(self) -> bool:
        if not await self._owns():
            return False  # the real catalog may have seen the client go on
        abandoned = await self._catalog.write(upload_ends.expire, BATCH, terms=self._terms)
        for upload in abandoned:
            with _logged(f"upload {upload.id} could not be aborted"):
                await forget_upload(self._driver, self._catalog, upload)
        return False

    async def _delete_garbage(self) -> bool:
        if not await self._owns():
            logger.warning("another catalog owns this store: nothing is deleted")
            return False
        locations = await self._catalog.write(garbage.due, BATCH)
        if locations:
            await self._driver.delete_blobs(locations)
            await self._catalog.write(garbage.forget, locations)
        return len(locations) == BATCH

    async def _abort_unknown_uploads(self) -> bool:
        if not await self._owns():
            return False
        async for handles in self._old_uploads():
            known = await self._catalog.read(uploads.held, handles)
            for handle in handles:
                if handle not in known:
                    await self._driver.abort_upload(handle)
        return False

    async def _owns(self) -> bool:
        return self._ownership is None or await self._ownership.owns()

    async def _old_uploads(self) -> AsyncIterator[list[Handle]]:
        """Uploads of the driver that began more than a lifetime ago, in batches."""
        batch: list[Handle] = []
        async for handle in self._driver.list_uploads(datetime.now(UTC) - self._lifetime):
            batch.append(handle)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


async def _attempt(chore: _Chore, now: float) -> None:
    """Do a chore that is due; a failure is logged, and the chore due again in its time."""
    if chore.due > now:
        return
    chore.due = now + chore.interval
    with _logged("housekeeping failed, and will be tried again"):
        if await chore.work():
            chore.due = now


@contextmanager
def _logged(message: str) -> Iterator[None]:
    """Whatever fails is kept for the next time."""
    try:
        yield
    except Exception:
        logger.exception(message)
