"""Faults on the wire between the driver and Kodo: clean failures, and a repetition succeeds."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from registry_storage.drivers.api import Driver, MiB, Redirects, StoredBlob
from registry_storage.drivers.kodo import KodoConfig
from registry_storage.drivers.kodo.driver import KodoDriver
from registry_storage.drivers.wrappers.retry import RetryingDriver, RetryPolicy
from registry_storage.errors import (
    DriverError,
    DriverUnavailable,
    PartLost,
    TransientError,
    UploadNotFound,
)
from registry_storage.testing.material import Held, content, joined, mark_of, new_id, read_all
from tests.services.kodo import UPLOAD_SECONDS, KodoServer
from tests.services.processes import free_port

pytestmark = pytest.mark.xdist_group("kodo")

DATA = [content(MiB), content(1000, 1)]
MARK = mark_of(joined(DATA))

FAULTS: dict[str, Mapping[str, Any]] = {
    "reset before": {"kind": "reset"},
    "reset after": {"kind": "lost"},
    "truncated": {"kind": "truncated"},
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503, "error": "slow down"},
    "573": {"kind": "status", "status": 573, "error": "too frequent"},
    "silent": {"kind": "stall"},
}


def made(kodo: KodoServer, bucket: str, **settings: Any) -> KodoDriver:
    config = KodoConfig.model_validate({**kodo.settings(bucket), **settings})
    return KodoDriver(config, timeout=(2.0, 0.5))


@pytest.fixture
async def driver(kodo: KodoServer, kodo_bucket: str) -> AsyncIterator[KodoDriver]:
    """The driver, started, and nothing to repeat what fails."""
    driver = made(kodo, kodo_bucket)
    await driver.start()
    yield driver
    await driver.close()


async def push(driver: Driver) -> StoredBlob:
    """An upload of two parts from its beginning to its end."""
    handle = await driver.begin_upload(new_id())
    offsets = (0, len(DATA[0]))
    parts = [
        await driver.put_part(handle, n + 1, offsets[n], Held(DATA[n]), len(DATA[n]))
        for n in range(2)
    ]
    return await driver.commit_upload(handle, parts, MARK)


async def push_small(driver: Driver) -> StoredBlob:
    """A blob put whole."""
    return await driver.put_blob(new_id(), DATA, MARK)


async def count(kodo: KodoServer, call: Any, driver: Driver) -> int:
    """How many requests `call` makes."""
    with kodo.failing():
        await call(driver)
        return len(kodo.requests())


async def fetched(url: str) -> bytes:
    """What a client finds there."""
    with await asyncio.to_thread(urlopen, url) as answer:
        return bytes(answer.read())


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", [push, push_small], ids=["upload", "whole"])
async def test_a_fault_at_any_request_of_a_push_is_clean_and_can_be_repeated(
    kodo: KodoServer, driver: KodoDriver, fault: str, call: Any
) -> None:
    patient = RetryingDriver(driver, RetryPolicy(first_wait=0.001))
    for request in range(await count(kodo, call, driver)):
        once = {**FAULTS[fault], "skip": request, "times": 1}
        with kodo.failing(once):
            try:
                blob = await call(driver)
            except TransientError:
                blob = await call(driver)
        assert await read_all(driver, blob.location) == joined(DATA)
        with kodo.failing(once):
            blob = await call(patient)
        assert await read_all(driver, blob.location) == joined(DATA)


@pytest.mark.parametrize("fault", ["reset before", "truncated", "500", "573", "silent"])
async def test_a_fault_of_a_read_is_never_a_short_blob(
    kodo: KodoServer, driver: KodoDriver, fault: str
) -> None:
    blob = await push_small(driver)
    with kodo.failing({**FAULTS[fault], "times": 1}), pytest.raises(TransientError) as raised:
        await read_all(driver, blob.location)
    assert "token" not in str(raised.value), "whoever has it can read"
    patient = RetryingDriver(driver, RetryPolicy(first_wait=0.001))
    with kodo.failing({**FAULTS[fault], "times": 2}):
        assert await read_all(patient, blob.location) == joined(DATA)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_a_deletion_can_be_repeated(
    kodo: KodoServer, kodo_bucket: str, driver: KodoDriver, fault: str
) -> None:
    patient = RetryingDriver(driver, RetryPolicy(first_wait=0.001))
    for request in range(8):  # looking for marks: one of sizes, five listings; then two deletions
        marked = await push_small(driver)
        unmarked = await driver.put_blob(new_id(), DATA, None)
        with kodo.failing({**FAULTS[fault], "skip": request, "times": 1}):
            await patient.delete_blobs([marked.location, unmarked.location])
        assert kodo.objects(kodo_bucket) == {}


async def test_one_of_many_that_fails_in_a_batch_fails_the_deletion(
    kodo: KodoServer, driver: KodoDriver
) -> None:
    blob = await push_small(driver)
    results = [{"code": 599, "data": {"error": "server failure"}}]
    refusal = {"kind": "answer", "status": 298, "error": json.dumps(results), "match": "/batch"}
    with kodo.failing(refusal), pytest.raises(DriverUnavailable, match="server failure"):
        await driver.delete_blobs([blob.location])


async def test_a_second_host_is_asked_where_the_first_is_gone(
    kodo: KodoServer, kodo_bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    domains = {"domains": [f"127.0.0.1:{free_port()}", kodo.host]}
    answer = {"hosts": [dict.fromkeys(("up", "rs", "rsf"), domains)]}
    driver = made(kodo, kodo_bucket)
    query = {"kind": "answer", "status": 200, "error": json.dumps(answer), "match": "/v4/query"}
    with kodo.failing(query):
        await driver.start()
    blob = await push(driver)
    assert await read_all(driver, blob.location) == joined(DATA)
    await driver.close()
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


async def test_many_readers_share_few_threads_without_a_word(
    kodo: KodoServer, kodo_bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    driver = made(kodo, kodo_bucket, maxconcurrency=2)
    await driver.start()
    blob = await push_small(driver)
    async with AsyncExitStack() as stack:
        reading = [
            await stack.enter_async_context(driver.read_blob(blob.location)) for _ in range(30)
        ]
        for pieces in reading:
            assert b"".join([piece async for piece in pieces]) == joined(DATA)
    await driver.close()
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


async def test_an_upload_expires_after_seven_days(
    kodo: KodoServer, kodo_bucket: str, driver: KodoDriver
) -> None:
    handle = await driver.begin_upload(new_id())
    part = await driver.put_part(handle, 1, 0, Held(b"hello"), 5)
    assert len(kodo.uploads(kodo_bucket)) == 1
    kodo.age_uploads(kodo_bucket, UPLOAD_SECONDS)
    assert kodo.uploads(kodo_bucket) == {}
    with pytest.raises(UploadNotFound, match="seven days"):
        await driver.put_part(handle, 2, 5, Held(b"world"), 5)
    with pytest.raises(UploadNotFound):
        await driver.commit_upload(handle, [part], None)


async def test_a_part_that_is_too_small_fails_the_commit_and_says_so(driver: KodoDriver) -> None:
    handle = await driver.begin_upload(new_id())
    parts = [await driver.put_part(handle, n + 1, 5 * n, Held(b"hello"), 5) for n in range(2)]
    with pytest.raises(DriverError, match="too small") as raised:
        await driver.commit_upload(handle, parts, None)
    assert not isinstance(raised.value, PartLost)
    await driver.abort_upload(handle)


async def test_a_url_of_a_private_bucket_expires(
    kodo: KodoServer, kodo_bucket: str, driver: KodoDriver
) -> None:
    blob = await push_small(driver)
    redirects = driver.extension(Redirects)
    assert redirects is not None
    url = await redirects.blob_url(blob.location, 60)
    assert url is not None
    assert url.startswith(f"http://{kodo.domain(kodo_bucket)}/blobs/")
    with kodo.clock_ahead(120), pytest.raises(HTTPError, match="401"):
        await fetched(url)
    with pytest.raises(HTTPError, match="401"):
        await fetched(url.partition("?")[0])


async def test_a_public_bucket_is_read_by_plain_urls(kodo: KodoServer) -> None:
    bucket = kodo.make_bucket(is_private=False)
    for private in (False, True):
        driver = made(kodo, bucket, private=private)
        await driver.start()
        blob = await push_small(driver)
        url = await driver.blob_url(blob.location, 60)
        assert url is not None
        assert ("token" in url) is private
        assert await fetched(url) == joined(DATA)
        assert await read_all(driver, blob.location) == joined(DATA)
        await driver.close()
    kodo.drop_bucket(bucket)


async def test_a_bucket_without_a_domain_is_told(kodo: KodoServer, kodo_bucket: str) -> None:
    driver = made(kodo, kodo_bucket)
    fault = {"kind": "answer", "status": 200, "error": "[]", "match": "/v2/domains"}
    with kodo.failing(fault), pytest.raises(DriverError, match=r"storage\.kodo\.domain"):
        await driver.start()
    await driver.close()


async def test_a_listing_goes_on_over_many_pages(
    kodo: KodoServer, kodo_bucket: str, driver: KodoDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_storage.drivers.kodo.service._BATCH", 7)
    stored = {(await push_small(driver)).location for _ in range(16)}
    assert {blob.location async for blob in driver.list_blobs()} == stored
    await driver.delete_blobs(sorted(stored))
    assert kodo.objects(kodo_bucket) == {}


@pytest.mark.parametrize("nonsense", ["", "[]", "{}", "<html>Welcome to the hotel</html>"])
async def test_nonsense_in_kodos_place_is_told(
    kodo: KodoServer, driver: KodoDriver, nonsense: str
) -> None:
    fault = {"kind": "answer", "status": 200, "error": nonsense}
    with kodo.failing(fault), pytest.raises(DriverError, match="not as Kodo does"):
        await driver.begin_upload(new_id())


@pytest.mark.parametrize("nonsense", ["", "[]", "<html>Welcome to the hotel</html>"])
async def test_no_nonsense_is_taken_for_an_empty_store(
    kodo: KodoServer, driver: KodoDriver, nonsense: str
) -> None:
    fault = {"kind": "answer", "status": 200, "error": nonsense}
    with kodo.failing(fault), pytest.raises(DriverError, match="not as Kodo does"):
        await driver.stat_blob(driver.location_of(new_id(), None))
    with kodo.failing(fault), pytest.raises(DriverError, match="not as Kodo does"):
        await anext(aiter(driver.list_blobs()))
