"""Requests and answers that get lost or damaged: never wrong bytes, and a repetition succeeds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from swiftclient.client import HTTPConnection  # type: ignore[import-untyped]

from registry_storage.drivers.api import BlobKind, Driver
from registry_storage.drivers.wrappers.retry import RetryingDriver
from registry_storage.errors import DriverError, DriverTimeout, DriverUnavailable, TransientError
from registry_storage.plugins import open_driver
from registry_storage.testing.material import Held, content, mark_of, new_id, read_all
from tests.drivers.swift_answers import Request, answer, while_sending
from tests.services.containers import ScratchFolder, scratch_folder
from tests.services.swift import SwiftServer

pytestmark = pytest.mark.xdist_group("swift")

DATA, LAST = content(1000), b"the end"
EVERY = 13
"""More requests than any one call makes."""

really_sent: Request = HTTPConnection._request


def never_sent(*_: object, **__: object) -> requests.Response:
    raise requests.ConnectionError("reset")


def answer_late(*args: Any, **kwargs: Any) -> requests.Response:
    really_sent(*args, **kwargs).close()
    raise requests.ReadTimeout("60 s")


def broken(_: object, method: str, url: str, **__: object) -> requests.Response:
    return answer(method, url, 503, "Service Unavailable")


def logged_out(_: object, method: str, url: str, **__: object) -> requests.Response:
    return answer(method, url, 401, "Unauthorized")


FAULTS = [never_sent, answer_late, broken, logged_out]


class Wire:
    """Takes every request on; that with number `chosen`, and every so many after it, `fault`."""

    def __init__(self, fault: Request, chosen: int, every: int = 10**9) -> None:
        self.sent = 0
        self._fault = fault
        self._next = chosen
        self._every = every

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        number, self.sent = self.sent, self.sent + 1
        if number != self._next:
            return really_sent(*args, **kwargs)
        self._next += self._every
        return self._fault(*args, **kwargs)


@contextmanager
def wired(fault: Request, chosen: int, every: int = 10**9) -> Iterator[Wire]:
    wire = Wire(fault, chosen, every)
    with while_sending(lambda *args, **kwargs: wire.request(*args, **kwargs))():
        yield wire


@pytest.fixture
def folder(swift_server: SwiftServer) -> Iterator[ScratchFolder]:
    with scratch_folder(swift_server) as folder:
        yield folder


@pytest.fixture
async def driver(folder: ScratchFolder) -> AsyncIterator[Driver]:
    made = open_driver("swift", folder.settings)
    await made.start()
    yield made
    await made.close()


async def push(driver: Driver) -> None:
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
    listed = {blob.location async for blob in driver.list_blobs(BlobKind.BLOB)}
    assert listed >= {small.location, large.location, marked.location}
    for blob in (small, large, marked):
        await driver.delete_blobs([blob.location])


async def at_once(_: float) -> None:
    """How long the tests wait before they try again."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_any_request_may_fail_once(
    driver: Driver, folder: ScratchFolder, fault: Request
) -> None:
    retrying = RetryingDriver(driver, sleep=at_once)
    for chosen in range(EVERY):
        with wired(fault, chosen, EVERY) as wire:
            await push(retrying)
        assert wire.sent > 2 * EVERY
    marks = [name for name in folder.names() if "/marks/" in name or "/uploads/" in name]
    assert marks == []


async def test_without_a_repetition_it_fails_cleanly(driver: Driver) -> None:
    with wired(really_sent, 0) as wire:
        await push(driver)
    for chosen in range(0, wire.sent, 4):
        with wired(answer_late, chosen):
            try:
                await push(driver)
            except TransientError:
                continue


def cut_short(error: Exception | None) -> Request:
    """Has bodies end after a few bytes, silently or with an error."""

    def request(*args: Any, **kwargs: Any) -> requests.Response:
        found = really_sent(*args, **kwargs)
        read, given = found.raw.read, 0

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

    return request


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, DriverUnavailable),
        (ConnectionResetError("reset"), DriverUnavailable),
        (requests.ReadTimeout("60 s"), DriverTimeout),
    ],
)
async def test_a_body_that_ends_early_is_no_end(
    driver: Driver, error: Exception | None, kind: type[DriverError]
) -> None:
    blob = await driver.put_blob(new_id(), [LAST], None)
    with while_sending(cut_short(error))(), pytest.raises(kind):
        await read_all(driver, blob.location)


async def test_a_listing_that_ends_early_is_no_end(driver: Driver) -> None:
    await driver.put_blob(new_id(), [LAST], mark_of(LAST))
    with while_sending(cut_short(None))(), pytest.raises(DriverUnavailable):
        [blob async for blob in driver.list_blobs()]


async def test_a_read_that_breaks_is_taken_up_where_it_broke(driver: Driver) -> None:
    blob = await driver.put_blob(new_id(), [LAST], None)
    retrying = RetryingDriver(driver, sleep=at_once)
    with while_sending(cut_short(ConnectionResetError("reset")))():
        assert await read_all(retrying, blob.location) == LAST


async def test_a_store_that_ignores_ranges_is_refused(driver: Driver) -> None:
    blob = await driver.put_blob(new_id(), [LAST], None)

    def without_range(*args: Any, **kwargs: Any) -> requests.Response:
        found = really_sent(*args, **kwargs)
        found.headers.pop("Content-Range", None)
        return found

    with while_sending(without_range)(), pytest.raises(DriverError, match="ignores the range"):
        await read_all(driver, blob.location, 2)


async def test_a_part_that_is_damaged_on_its_way_does_not_count(driver: Driver) -> None:
    def damaged(*args: Any, **kwargs: Any) -> requests.Response:
        if kwargs.get("data") is not None:
            kwargs["data"] = b"x" * len(kwargs["data"])
        return really_sent(*args, **kwargs)

    handle = await driver.begin_upload(new_id())
    with while_sending(damaged)(), pytest.raises(DriverUnavailable, match="damaged"):
        await driver.put_part(handle, 1, 0, Held(DATA), len(DATA))
    part = await driver.put_part(handle, 1, 0, Held(DATA), len(DATA))
    blob = await driver.commit_upload(handle, [part], None)
    assert await read_all(driver, blob.location) == DATA
