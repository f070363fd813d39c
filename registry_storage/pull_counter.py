"""Counts pulls in memory, and writes the counts to the catalog every few seconds.

A pull costs an addition; what was counted since the last flush is lost if the process is killed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from typing import Final

from registry_storage.catalog import Catalog, pull_counts
from registry_storage.errors import RegistryError

logger = logging.getLogger(__name__)

INTERVAL: Final = 5.0
"""Seconds between two flushes."""

BATCH: Final = 1000
"""References that one transaction counts."""


class PullCounter:
    """The counts of one process.  `start` in the event loop that calls `count`."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._counts: Counter[tuple[str, str]] = Counter()
        self._flushing: asyncio.Task[None] | None = None

    def count(self, repository: str, reference: str) -> None:
        """A client pulled the manifest of that tag or digest."""
        self._counts[repository, reference] += 1

    def start(self) -> None:
        """Flush from time to time."""
        self._flushing = asyncio.get_running_loop().create_task(self._flush_on())

    async def close(self) -> None:
        """Flush for the last time."""
        if self._flushing is not None:
            self._flushing.cancel()
            with suppress(asyncio.CancelledError):
                await self._flushing
        await self.flush()

    async def flush(self) -> None:
        """Write what was counted; what the catalog does not take is counted again."""
        counts, self._counts = self._counts, Counter()
        try:
            while counts:
                batch = dict(list(counts.items())[:BATCH])
                await self._catalog.write_unflushed(pull_counts.add, batch)
                counts -= Counter(batch)
        except RegistryError as error:
            logger.warning("pulls could not be counted, and will be: %s", error)
        finally:
            self._counts.update(counts)

    async def _flush_on(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            await self.flush()
