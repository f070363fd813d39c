"""Whatever goes wrong comes out as an error of `registry_storage.errors`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from registry_storage.drivers.api import Part
from registry_storage.errors import BlobNotFound, UploadNotFound
from registry_storage.testing.bench import Workbench, contract
from registry_storage.testing.harness import Failure
from registry_storage.testing.material import cut, joined, mark_of, new_id, read_all

HELLO = b"hello, world"
NONSENSE = ["", ".", "..", "/", "../../etc/passwd", "unmarked/..", "blobs/sha256/aa/..", "\0", "é"]


@contract
async def test_no_blob_is_found_at_a_nonsensical_location(readable: Workbench) -> None:
    for location in NONSENSE:
        with pytest.raises(BlobNotFound):
            await readable.driver.stat_blob(location)
        with pytest.raises(BlobNotFound):
            await read_all(readable.driver, location)


@contract
async def test_a_nonsensical_location_can_be_deleted_but_not_marked(bench: Workbench) -> None:
    await bench.driver.delete_blobs(NONSENSE)
    for location in NONSENSE:
        with pytest.raises(BlobNotFound):
            await bench.driver.mark_blob(location, mark_of(HELLO))


@contract
async def test_a_nonsensical_handle_names_no_upload(bench: Workbench) -> None:
    for handle in NONSENSE:
        await bench.driver.abort_upload(handle)
        with pytest.raises(UploadNotFound):
            await bench.send(handle, 1, 0, HELLO)
        with pytest.raises(UploadNotFound):
            await bench.driver.commit_upload(handle, [], None)


@pytest.mark.parametrize("failure", Failure, ids=lambda failure: failure.name)
@contract
async def test_a_failing_backend_is_the_right_error_and_no_harm(
    bench: Workbench, failure: Failure
) -> None:
    if failure not in bench.harness.failures:
        pytest.skip(f"the harness cannot make the backend fail so: {failure.name}")
    *sent, last = data = cut(bench.driver.limits, 3)
    handle = await bench.driver.begin_upload(new_id())
    parts = await bench.send_all(handle, sent)
    blob_id = new_id()

    async def put() -> object:
        return await bench.driver.put_blob(blob_id, [HELLO], mark_of(HELLO))

    async def send() -> Part:
        return await bench.send(handle, 9, len(joined(sent)), last)

    calls: list[Callable[[], Awaitable[object]]] = [put, send]
    for call in calls:
        with bench.harness.failures[failure](), pytest.raises(failure.error) as raised:
            await call()
        assert str(raised.value), "the error says nothing"
    assert await bench.blobs() == {}
    await put()
    parts.append(await send())
    blob = await bench.driver.commit_upload(handle, parts, None)
    assert await read_all(bench.driver, blob.location) == joined(data)
