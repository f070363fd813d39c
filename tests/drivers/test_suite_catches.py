"""The suite fails drivers that break the contract: each mutant, the test that is there for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from registry_storage.drivers.api import Buffers, Handle, Mark, Part, PartData, StoredBlob
from registry_storage.drivers.memory import MemoryDriver, MemorySpace
from registry_storage.testing import DriverHarness
from registry_storage.testing.bench import Workbench, workbench
from registry_storage.testing.suite import listing, publishing, reading, takeover, uploads

Test = Callable[[Workbench], Awaitable[None]]


class LocatesByDigest(MemoryDriver):
    def location_of(self, blob_id: str, mark: Mark | None) -> str:
        return f"{mark.digest}" if mark else super().location_of(blob_id, mark)


class PutsAnew(MemoryDriver):
    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        await self.delete_blobs([self.location_of(blob_id, mark)])
        return await super().put_blob(blob_id, data, mark)


class ChecksTheRangeTooLate(MemoryDriver):
    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncIterator[bytes]:
            async with MemoryDriver.read_blob(self, location, start, stop) as inner:
                async for piece in inner:
                    yield piece

        yield pieces()


class IncludesStop(MemoryDriver):
    def read_blob(self, location: str, start: int = 0, stop: int | None = None):  # type: ignore[no-untyped-def]
        return super().read_blob(location, start, None if stop is None else stop + 1)


class NamesPartsByNumber(MemoryDriver):
    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        part = await super().put_part(handle, number, offset, data, size)
        parts = self._space.uploads[handle].parts
        parts[str(number)] = parts.pop(part.token)
        return Part(number, offset, part.size, str(number))


class JoinsAllParts(MemoryDriver):
    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        if upload := self._space.uploads.get(handle):
            parts = [Part(1, 0, 0, token) for token in upload.parts]
        return await super().commit_upload(handle, parts, mark)


class ForgetsToCleanUp(MemoryDriver):
    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        upload = self._space.uploads.get(handle)
        blob = await super().commit_upload(handle, parts, mark)
        if upload:
            self._space.uploads[handle] = upload
        return blob


class CommitsOnce(MemoryDriver):
    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        self._upload(handle)
        return await super().commit_upload(handle, parts, mark)


class CountsBrokenData(MemoryDriver):
    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        async def calm() -> AsyncIterator[bytes]:
            try:
                async for piece in data:
                    yield bytes(piece)
            except Exception:
                return

        return await super().put_part(handle, number, offset, calm(), size)


class AbortsTheBlobToo(MemoryDriver):
    async def abort_upload(self, handle: Handle) -> None:
        await super().abort_upload(handle)
        await self.delete_blobs([self.location_of(handle.partition(".")[0], None)])


class ListsTwice(MemoryDriver):
    async def list_blobs(self, kind: object = None) -> AsyncIterator[StoredBlob]:
        for _ in range(2):
            async for blob in super().list_blobs(kind):  # type: ignore[arg-type]
                yield blob


class ListsEveryUpload(MemoryDriver):
    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return super().list_uploads(datetime.max.replace(tzinfo=UTC))


class KeepsUploadsToItself(MemoryDriver):
    async def begin_upload(self, blob_id: str) -> Handle:
        handle = await super().begin_upload(blob_id)
        self._mine = getattr(self, "_mine", {}) | {handle: self._space.uploads.pop(handle)}
        return handle

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        self._space.uploads |= getattr(self, "_mine", {})
        return await super().put_part(handle, number, offset, data, size)


MUTANTS: list[tuple[type[MemoryDriver], Test]] = [
    (LocatesByDigest, publishing.test_two_ids_with_equal_bytes_are_two_blobs),
    (PutsAnew, publishing.test_put_blob_repeated_answers_the_same),
    (
        ChecksTheRangeTooLate,
        reading.test_a_start_past_the_end_is_refused_on_entering_with_the_size,
    ),
    (ChecksTheRangeTooLate, reading.test_what_is_not_there_is_blob_not_found_on_entering),
    (IncludesStop, reading.test_stop_is_exclusive),
    (NamesPartsByNumber, uploads.test_a_zombie_with_the_same_number_cannot_change_a_part),
    (JoinsAllParts, uploads.test_a_part_that_was_not_named_in_the_commit_is_left_out),
    (ForgetsToCleanUp, uploads.test_an_upload_of_one_part_is_its_bytes),
    (ForgetsToCleanUp, listing.test_list_uploads_leaves_out_what_is_published),
    (CommitsOnce, uploads.test_commit_repeated_answers_the_same),
    (CommitsOnce, takeover.test_an_upload_survives_a_crash_before_and_after_every_call),
    (
        CountsBrokenData,
        uploads.test_data_that_raises_makes_no_part_and_its_error_passes_through,
    ),
    (AbortsTheBlobToo, uploads.test_abort_of_a_committed_upload_keeps_the_blob),
    (ListsTwice, listing.test_what_exists_throughout_a_listing_appears_once),
    (ListsEveryUpload, listing.test_list_uploads_gives_only_what_was_begun_before),
    (KeepsUploadsToItself, takeover.test_a_second_instance_goes_on_after_a_json_round_trip),
]


@pytest.mark.parametrize(
    ("mutant", "test"),
    MUTANTS,
    ids=lambda value: value.__name__ if hasattr(value, "__name__") else None,
)
async def test_the_suite_fails_a_driver_that(mutant: type[MemoryDriver], test: Test) -> None:
    space = MemorySpace()
    await run(test, lambda: MemoryDriver(space))
    with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever it is that fails the test
        await run(test, lambda: mutant(space))


async def run(test: Test, make: Callable[[], MemoryDriver]) -> None:
    async with workbench(DriverHarness(open=make)) as bench:
        await test(bench)
