"""Requests and answers that get lost or damaged: never wrong bytes, and a repetition succeeds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from registry_storage.drivers.api import MiB, Redirects
from registry_storage.drivers.s3 import S3Config
from registry_storage.drivers.s3.driver import S3Driver
from registry_storage.drivers.wrappers.retry import RetryingDriver
from registry_storage.errors import (
    BlobNotFound,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    TransientError,
)
from registry_storage.testing.material import Held, content, mark_of, new_id, read_all
from tests.drivers.s3_answers import Send, answer, really_sent, sending, timeout
from tests.services.buckets import Bucket, S3Account

pytestmark = pytest.mark.xdist_group("moto")

DATA, LAST = content(1000), b"the end"


def closed(request: Any) -> ConnectionClosedError:
    return ConnectionClosedError(endpoint_url=request.url)


def never_sent(_: URLLib3Session, request: Any) -> AWSResponse:
    raise closed(request)


def answer_lost(session: URLLib3Session, request: Any) -> AWSResponse:
    really_sent(session, request)
    raise closed(request)


def answer_late(session: URLLib3Session, request: Any) -> AWSResponse:
    really_sent(session, request)
    raise timeout(request.url)


def broken(_: URLLib3Session, request: Any) -> AWSResponse:
    return answer(request, 500, "InternalError")


def slow_down(_: URLLib3Session, request: Any) -> AWSResponse:
    return answer(request, 503, "SlowDown")


FAULTS = [never_sent, answer_lost, answer_late, broken, slow_down]


EVERY = 11
"""More requests than any one call makes."""


class Wire:
    """Takes every request on; that with number `chosen`, and every so many after it, `fault`."""

    def __init__(
        self, fault: Send = really_sent, chosen: int | None = None, every: int = 10**9
    ) -> None:
        self.sent = 0
        self._fault = fault
        self._next = chosen
        self._every = every

    def send(self, session: URLLib3Session, request: Any) -> AWSResponse:
        number, self.sent = self.sent, self.sent + 1
        if number != self._next:
            return really_sent(session, request)
        self._next += self._every
        return self._fault(session, request)


@contextmanager
def wired(wire: Wire) -> Iterator[Wire]:
    with sending(lambda session, request: wire.send(session, request)):
        yield wire


@pytest.fixture
def bucket(moto: S3Account) -> Iterator[Bucket]:
    with moto.bucket() as bucket:
        yield bucket


@pytest.fixture
async def driver(bucket: Bucket) -> AsyncIterator[S3Driver]:
    made = S3Driver(S3Config(**bucket.settings))
    await made.start()
    yield made
    await made.close()


async def push(driver: S3Driver | RetryingDriver) -> None:
    """A small blob, an upload, a mark written later; all read and deleted again."""
    small = await driver.put_blob(new_id(), [LAST], mark_of(LAST))
    handle = await driver.begin_upload(new_id())
    part = await driver.put_part(handle, 1, 0, Held(DATA), len(DATA))
    large = await driver.commit_upload(handle, [part], mark_of(DATA))
    unmarked = await driver.put_blob(new_id(), [LAST], None)
    marked = await driver.mark_blob(unmarked.location, mark_of(LAST))
    for blob, data in ((small, LAST), (large, DATA), (marked, LAST)):
        assert await read_all(driver, blob.location) == data
        assert (await driver.stat_blob(blob.location)).size == len(data)
    listed = {blob.location async for blob in driver.list_blobs()}
    assert listed >= {small.location, large.location, marked.location}
    await driver.delete_blobs([small.location, large.location, marked.location])


async def at_once(_: float) -> None:
    """How long the tests wait before they try again."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_any_request_may_fail_once(driver: S3Driver, bucket: Bucket, fault: Send) -> None:
    retrying = RetryingDriver(driver, sleep=at_once)
    for chosen in range(EVERY):
        with wired(Wire(fault, chosen, EVERY)) as wire:
            await push(retrying)
        assert wire.sent > 2 * EVERY
    assert [key for key in bucket.all_keys() if key.startswith("marks/")] == []


@pytest.mark.parametrize("fault", [answer_lost, slow_down])
async def test_without_a_repetition_it_fails_cleanly(driver: S3Driver, fault: Send) -> None:
    with wired(Wire()) as wire:
        await push(driver)
    for chosen in range(wire.sent):
        with wired(Wire(fault, chosen)):
            try:
                await push(driver)
            except TransientError:
                continue


def cut_short(error: Exception | None) -> Send:
    """Has bodies end after a few bytes, silently or with an error."""

    def send(session: URLLib3Session, request: Any) -> AWSResponse:
        found = really_sent(session, request)
        read = found.raw.read
        given = 0

        def read_some(amount: int | None = None) -> bytes:
            nonlocal given
            if given:
                if error:
                    raise error
                return b""
            given = 1
            return bytes(read(3))

        found.raw.read = read_some
        return found

    return send


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, DriverUnavailable),
        (ConnectionResetError("reset"), DriverUnavailable),
        (timeout(), DriverTimeout),
    ],
)
async def test_a_body_that_ends_early_is_no_end(
    driver: S3Driver, error: Exception | None, kind: type[DriverError]
) -> None:
    blob = await driver.put_blob(new_id(), [LAST], None)
    with sending(cut_short(error)), pytest.raises(kind):
        await read_all(driver, blob.location)


async def test_a_read_that_breaks_is_taken_up_where_it_broke(driver: S3Driver) -> None:
    blob = await driver.put_blob(new_id(), [LAST], None)
    retrying = RetryingDriver(driver, sleep=at_once)
    with sending(cut_short(ConnectionResetError("reset"))):
        assert await read_all(retrying, blob.location) == LAST


async def test_a_store_that_ignores_ranges_is_refused(driver: S3Driver) -> None:
    blob = await driver.put_blob(new_id(), [LAST], None)

    def without_range(session: URLLib3Session, request: Any) -> AWSResponse:
        found = really_sent(session, request)
        found.headers.pop("Content-Range", None)
        return found

    with sending(without_range), pytest.raises(DriverError, match="ignores ranges"):
        await read_all(driver, blob.location, 2)


def recording(seen: list[Any]) -> Send:
    def send(session: URLLib3Session, request: Any) -> AWSResponse:
        seen.append(request)
        return really_sent(session, request)

    return send


async def headers_of_a_push(bucket: Bucket, **settings: Any) -> dict[str, dict[str, str]]:
    """The headers of the requests that make objects, by what they make."""
    driver = S3Driver(S3Config(**{**bucket.settings, **settings}))
    await driver.start()
    seen: list[Any] = []
    with sending(recording(seen)):
        await driver.put_blob(new_id(), [LAST], mark_of(LAST))
        await driver.begin_upload(new_id())
    await driver.close()
    blob, mark, upload = [request for request in seen if request.method in ("PUT", "POST")]
    named = {"blob": blob, "mark": mark, "upload": upload}
    return {
        name: {key.lower(): _text(value) for key, value in request.headers.items()}
        for name, request in named.items()
    }


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


async def test_objects_are_encrypted_and_classed_as_configured(bucket: Bucket) -> None:
    made = await headers_of_a_push(
        bucket, encrypt=True, keyid="key", storageclass="STANDARD_IA", objectacl="private"
    )
    for headers in made.values():
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "key"
        assert headers["x-amz-acl"] == "private"
    assert made["blob"]["x-amz-storage-class"] == made["upload"]["x-amz-storage-class"]
    assert made["upload"]["x-amz-storage-class"] == "STANDARD_IA"
    assert "x-amz-storage-class" not in made["mark"]


async def test_nothing_is_asked_for_that_was_not_configured(bucket: Bucket) -> None:
    for headers in (await headers_of_a_push(bucket, storageclass="NONE")).values():
        assert not any(name.startswith(("x-amz-server-side", "x-amz-acl")) for name in headers)
        assert "x-amz-storage-class" not in headers
        assert not any("checksum" in name or name == "content-encoding" for name in headers)


async def test_objects_are_written_only_where_nothing_is(bucket: Bucket) -> None:
    made = await headers_of_a_push(bucket, useragent="for-tests")
    assert made["blob"]["if-none-match"] == made["mark"]["if-none-match"] == "*"
    assert made["blob"]["user-agent"].endswith("for-tests")


async def test_clients_are_sent_to_the_public_endpoint(bucket: Bucket) -> None:
    settings = {**bucket.settings, "redirectendpoint": "blobs.example.org"}
    driver = S3Driver(S3Config(**settings))
    await driver.start()
    blob = await driver.put_blob(new_id(), [LAST], mark_of(LAST))
    redirects = driver.extension(Redirects)
    assert redirects is not None
    url = await redirects.blob_url(blob.location, 90)
    await driver.close()
    assert url is not None
    assert url.startswith(f"https://blobs.example.org/{bucket.name}/blobs/")
    assert "X-Amz-Expires=90" in url


async def test_a_thousand_keys_go_in_one_request(driver: S3Driver) -> None:
    blobs = [await driver.put_blob(new_id(), [b""], None) for _ in range(12)]
    seen: list[Any] = []
    with sending(recording(seen)):
        await driver.delete_blobs([blob.location for blob in blobs])
    assert len([request for request in seen if request.method == "POST"]) == 1
    for blob in blobs:
        with pytest.raises(BlobNotFound):
            await driver.stat_blob(blob.location)


def test_parts_are_cut_as_configured(bucket: Bucket) -> None:
    limits = S3Driver(S3Config(**{**bucket.settings, "chunksize": 7 * MiB, "uniform": True})).limits
    assert limits.uniform
    assert limits.preferred_size == 7 * MiB
