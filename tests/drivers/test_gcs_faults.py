"""A push to Google Cloud Storage with a fault at any one of its requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from registry_storage.drivers.api import Driver, StoredBlob
from registry_storage.drivers.gcs import GcsConfig
from registry_storage.drivers.gcs.driver import GcsDriver
from registry_storage.drivers.wrappers.retry import RetryingDriver
from registry_storage.testing.material import Held, cut, joined, mark_of, new_id, read_all
from tests.drivers import recorded_gcs as recorded
from tests.drivers.recorded_gcs import Answer, Step
from tests.services.fake_gcs import FakeGcs

pytestmark = pytest.mark.xdist_group("fake-gcs")

FAULTS = {
    "reset": requests.ConnectionError("reset by peer"),
    "timeout": requests.ReadTimeout("read timed out"),
    "slow-down": recorded.RATE_LIMIT,
    "backend-error": recorded.BACKEND_ERROR,
}


@contextmanager
def fault_at(nth: int, fault: Step, *, answer_is_lost: bool) -> Iterator[list[str]]:
    """The request of that number fails; the service may have done what it was asked to.

    Gives the URL of that request, once it was made.
    """
    numbers, send, hit = count(), HTTPAdapter.send, []

    def faulty(
        adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        if next(numbers) != nth:
            return send(adapter, request, **options)
        hit.append(str(request.url))
        if answer_is_lost:
            send(adapter, request, **options).close()
        if isinstance(fault, Answer):
            return fault.response(request)
        raise fault

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", faulty)
        yield hit


async def no_wait(_: float) -> None:
    """Try again at once."""


async def pushed(driver: Driver, data: list[bytes]) -> StoredBlob:
    handle = await driver.begin_upload(new_id())
    parts = []
    for number, piece in enumerate(data, 1):
        offset = sum(part.size for part in parts)
        parts.append(await driver.put_part(handle, number, offset, Held(piece), len(piece)))
    return await driver.commit_upload(handle, parts, mark_of(joined(data)))


@pytest.mark.parametrize("answer_is_lost", [False, True], ids=["request-lost", "answer-lost"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_push_survives_a_fault_at_any_request(
    fake_gcs: FakeGcs, fault: Step, answer_is_lost: bool
) -> None:
    bucket = fake_gcs.new_bucket()
    driver = RetryingDriver(GcsDriver(GcsConfig(bucket=bucket)), sleep=no_wait)
    await driver.start()
    data = cut(driver.limits, 3)
    for nth in count():
        with fault_at(nth, fault, answer_is_lost=answer_is_lost) as hit:
            blob = await pushed(driver, data)
        if not hit:
            break
        assert await read_all(driver, blob.location) == joined(data), hit
        assert [found async for found in driver.list_blobs()] == [blob], hit
        for handle in [found async for found in driver.list_uploads(blob.stored_at)]:
            await driver.abort_upload(handle)
        await driver.delete_blobs([blob.location])
        assert fake_gcs.keys(bucket) == [], hit
    assert nth > 10, "a push makes more requests than that"
    await driver.close()
