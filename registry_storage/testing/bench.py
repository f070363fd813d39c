"""The fixtures of the suite: a started driver, watched, and cleaned up after.

What a test leaves is checked, not just removed: a blob that no call has answered, an upload that
was committed or aborted and is listed still, or anything that stays when all is deleted, fails the
test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from registry_storage.drivers.api import Buffers, Driver, Handle, Mark, Part, StoredBlob
from registry_storage.drivers.wrappers.base import DelegatingDriver
from registry_storage.testing.harness import Capability, DriverHarness
from registry_storage.testing.material import at_once, mark_of, new_id, part_data, slices

contract = pytest.mark.asyncio
"""On every test of the suite, so that it runs in any mode of pytest-asyncio."""


class Watched(DelegatingDriver):
    """Keeps in mind which blobs and uploads the driver has answered for."""

    def __init__(self, inner: Driver) -> None:
        super().__init__(inner)
        self.answered: set[str] = set()
        self.open_uploads: set[Handle] = set()

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        return self._answered(await self.inner.put_blob(blob_id, data, mark))

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        return self._answered(await self.inner.mark_blob(location, mark))

    async def begin_upload(self, blob_id: str) -> Handle:
        handle = await self.inner.begin_upload(blob_id)
        self.open_uploads.add(handle)
        return handle

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        blob = self._answered(await self.inner.commit_upload(handle, parts, mark))
        self.open_uploads.discard(handle)
        return blob

    async def abort_upload(self, handle: Handle) -> None:
        await self.inner.abort_upload(handle)
        self.open_uploads.discard(handle)

    def _answered(self, blob: StoredBlob) -> StoredBlob:
        self.answered.add(blob.location)
        return blob


class Workbench:
    """A driver under test, started, with what most tests do with one."""

    def __init__(self, harness: DriverHarness, stack: AsyncExitStack) -> None:
        self.harness = harness
        self._stack = stack
        self._watched: list[Watched] = []
        self.driver: Driver
        self.writer: Driver

    async def open(self) -> None:
        """Start the driver, and the writer where the driver is none."""
        self.driver = self.writer = await self.another()
        if self.harness.writer is not None:
            self.writer = await self._started(self.harness.writer())

    async def another(self) -> Driver:
        """One more instance over the same backend."""
        return await self._started(self.harness.open())

    def needs(self, capability: Capability) -> None:
        """Skip the test where the driver lacks it, with the reason that the harness gives."""
        if capability in self.harness.lacks:
            pytest.skip(f"lacks {capability.name}: {self.harness.lacks[capability]}")

    async def put(self, data: bytes, mark: Mark | None = None) -> StoredBlob:
        """Publish `data` as the core would, without a mark unless one is given."""
        if len(data) <= at_once(self.writer.limits):
            return await self.writer.put_blob(new_id(), [data], mark)
        handle = await self.writer.begin_upload(new_id())
        parts = await self.send_all(handle, slices(self.writer.limits, data), self.writer)
        return await self.writer.commit_upload(handle, parts, mark)

    async def put_marked(self, data: bytes) -> StoredBlob:
        """Publish `data`, marked."""
        return await self.put(data, mark_of(data))

    async def send(
        self, handle: Handle, number: int, offset: int, data: bytes, driver: Driver | None = None
    ) -> Part:
        """Store `data` as a part, the way the core does."""
        driver = driver or self.driver
        return await driver.put_part(
            handle, number, offset, part_data(driver.limits, data), len(data)
        )

    async def send_all(
        self, handle: Handle, parts: Sequence[bytes], driver: Driver | None = None
    ) -> list[Part]:
        """Store each as a part, one after the other, numbered from 1."""
        offsets = [sum(map(len, parts[:n])) for n in range(len(parts))]
        return [
            await self.send(handle, number, offset, data, driver)
            for number, (offset, data) in enumerate(zip(offsets, parts, strict=True), 1)
        ]

    async def blobs(self) -> dict[str, StoredBlob]:
        """What `list_blobs` gives, by location; fails where it gives anything twice."""
        listed = [blob async for blob in self.driver.list_blobs()]
        by_location = {blob.location: blob for blob in listed}
        assert len(by_location) == len(listed), "list_blobs gave a blob twice"
        return by_location

    async def uploads(self) -> list[Handle]:
        """All uploads that the driver lists; none where it lists none."""
        if Capability.LISTS_UPLOADS in self.harness.lacks:
            return []
        return [handle async for handle in self.driver.list_uploads(_tomorrow())]

    async def clean_up(self) -> None:
        """Remove everything; fail for what should not have been there, or does not go."""
        blobs, uploads = set(await self.blobs()), set(await self.uploads())
        answered = set[str]().union(*(watched.answered for watched in self._watched))
        open_uploads = set[str]().union(*(watched.open_uploads for watched in self._watched))
        for handle in uploads | open_uploads:
            await self.writer.abort_upload(handle)
        await self.writer.delete_blobs(sorted(blobs))
        assert blobs <= answered, "a blob was published that no call has answered"
        assert uploads <= open_uploads, "an upload is listed that was committed or aborted"
        assert not await self.blobs(), "a blob outlives its deletion"
        assert not await self.uploads(), "an upload outlives its abort"

    async def _started(self, driver: Driver) -> Driver:
        watched = Watched(driver)
        await watched.start()
        self._stack.push_async_callback(watched.close)
        self._watched.append(watched)
        return watched


def _tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


@asynccontextmanager
async def workbench(harness: DriverHarness) -> AsyncIterator[Workbench]:
    """A bench for one test, cleaned up and checked after it."""
    async with AsyncExitStack() as stack:
        bench = Workbench(harness, stack)
        await bench.open()
        before = harness.residue() if harness.residue else None
        yield bench
        await bench.clean_up()
        if harness.residue:
            assert harness.residue() == before, "something stays in the backend"


@pytest_asyncio.fixture
async def readable(harness: DriverHarness) -> AsyncIterator[Workbench]:
    """The bench, for tests that need only to read through the driver."""
    async with workbench(harness) as bench:
        yield bench


@pytest_asyncio.fixture
async def bench(readable: Workbench) -> Workbench:
    """The bench, for tests that write through the driver."""
    readable.needs(Capability.WRITES)
    return readable
