"""What the rooms of an upload share: the store, its terms, and the bounded means of the process."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from registry_storage.buffers import BufferBudget
from registry_storage.catalog import Catalog, upload_ends
from registry_storage.catalog.uploads import Terms
from registry_storage.drivers.api import Driver, Handle, MiB
from registry_storage.errors import RegistryError
from registry_storage.parts import PartPlan
from registry_storage.policy import StorePolicy

DEFAULT_BUFFERS = 64 * MiB
"""What all uploads of a process may hold in memory on stores that want parts in memory."""

ANSWERED = 3600.0
"""How long a finished session answers a repeated PUT, in seconds."""


class UploadContext:
    """One store, as its uploads see it."""

    def __init__(
        self, driver: Driver, catalog: Catalog, policy: StorePolicy, buffers: int = DEFAULT_BUFFERS
    ) -> None:
        self.driver = driver
        self.catalog = catalog
        self.policy = policy
        self.plan = PartPlan(driver.limits)
        self.budget = BufferBudget(buffers)
        self.terms = terms_of(driver, policy)
        self.hashing = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="hash")
        self._aftermath: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Finish what was begun on behalf of requests that are gone."""
        while self._aftermath:
            await asyncio.wait(self._aftermath)
        self.hashing.shutdown()

    def discard(self, location: str, upload_id: str | None = None) -> None:
        """See to it that bytes which no row names go, even if the request is being cancelled.

        A failure leaves them to the sweep.
        """
        self.later(self.catalog.write(upload_ends.discard, upload_id, location, terms=self.terms))

    def abandon_handle(self, handle: Handle) -> None:
        """Have the driver forget an upload that no row names; failing that, the janitor will."""
        self.later(self.driver.abort_upload(handle))

    def later(self, work: Coroutine[Any, Any, object]) -> None:
        """Do work that a request which is gone leaves behind; a failure of ours is left at that."""
        task = asyncio.get_running_loop().create_task(_quietly(work))
        self._aftermath.add(task)
        task.add_done_callback(self._aftermath.discard)


async def _quietly(work: Coroutine[Any, Any, object]) -> None:
    with suppress(RegistryError):
        await work


def terms_of(driver: Driver, policy: StorePolicy) -> Terms:
    """What the store's policy is to the catalog."""
    return Terms(
        driver=driver.name,
        lease=milliseconds(policy.lease),
        lifetime=milliseconds(policy.upload_lifetime),
        answered=milliseconds(ANSWERED),
        garbage_delay=milliseconds(policy.garbage_delay),
    )


def milliseconds(seconds: float) -> int:
    """As the catalog counts time."""
    return round(seconds * 1000)


def fresh_blob_id() -> str:
    """32 hexadecimal digits that were never used before."""
    return secrets.token_hex(16)
