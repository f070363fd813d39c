"""What each wrapper is about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from registry_storage.drivers.api import Driver, LocalFiles, MiB
from registry_storage.drivers.filesystem import FilesystemDriver
from registry_storage.drivers.memory import MemoryDriver
from registry_storage.drivers.wrappers.faults import (
    Fault,
    FaultyDriver,
    Scripted,
    Seeded,
    When,
)
from registry_storage.drivers.wrappers.metrics import MeasuredDriver
from registry_storage.drivers.wrappers.read_only import ReadOnlyDriver
from registry_storage.drivers.wrappers.retry import RetryingDriver, RetryPolicy
from registry_storage.errors import (
    BlobNotFound,
    DriverUnavailable,
    NoSpace,
    ReadOnlyStore,
    Throttled,
)
from registry_storage.testing.material import Held, content, mark_of, new_id, read_all, stream

HELLO = b"hello, world"
T = TypeVar("T")


class Waits(list[float]):
    """Notes how long the retry wrapper would have waited."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest_asyncio.fixture
async def memory() -> MemoryDriver:
    return MemoryDriver()


async def collect(items: AsyncIterator[T], into: list[T]) -> None:
    """Also what came before an error."""
    async for item in items:
        into.append(item)  # noqa: PERF401 - extend would lose them


def always(error: Callable[[], BaseException], when: When = When.BEFORE, after: int = 0) -> Fault:
    return Fault(when, error, after)


def faulty(inner: Driver, *faults: Fault) -> FaultyDriver:
    """Fails its first calls so; the later ones do not."""
    return FaultyDriver(inner, Scripted(dict(enumerate(faults))))


# Every wrapper


@pytest.mark.parametrize("wrap", [RetryingDriver, ReadOnlyDriver, MeasuredDriver, faulty])
def test_extensions_are_passed_on(wrap: Callable[[Driver], Driver], tmp_path: Path) -> None:
    inner = FilesystemDriver(tmp_path)
    assert wrap(wrap(inner)).extension(LocalFiles) is inner
    assert wrap(MemoryDriver()).extension(LocalFiles) is None


# Retry


async def test_transient_errors_are_retried_with_growing_waits(
    memory: Driver, waits: Waits
) -> None:
    policy = RetryPolicy(attempts=6, first_wait=1, longest_wait=4)
    inner = faulty(memory, *[always(lambda: Throttled("slow down"))] * 5)
    driver = RetryingDriver(inner, policy, waits.sleep)
    await driver.put_blob(new_id(), [HELLO], None)
    assert len(waits) == 5
    assert all(0 <= wait <= most for wait, most in zip(waits, [1, 2, 4, 4, 4], strict=True))


async def test_the_last_failure_is_raised(memory: Driver, waits: Waits) -> None:
    inner = faulty(memory, *[always(lambda: Throttled("slow down"))] * 3)
    driver = RetryingDriver(inner, RetryPolicy(attempts=3), waits.sleep)
    with pytest.raises(Throttled):
        await driver.stat_blob("x")
    assert len(inner.called) == 3


@pytest.mark.parametrize("error", [NoSpace, BlobNotFound, ValueError])
async def test_lasting_errors_are_not_retried(
    memory: Driver, waits: Waits, error: type[Exception]
) -> None:
    inner = faulty(memory, always(lambda: error("no")))
    with pytest.raises(error):
        await RetryingDriver(inner, sleep=waits.sleep).stat_blob("x")
    assert inner.called == ["stat_blob"]


async def test_a_lost_answer_is_made_up_for(memory: Driver, waits: Waits) -> None:
    lost = Fault(When.AFTER)
    driver = RetryingDriver(faulty(memory, lost), sleep=waits.sleep)
    blob = await driver.put_blob(new_id(), [HELLO], mark_of(HELLO))
    assert [found async for found in memory.list_blobs()] == [blob]


async def test_a_part_in_memory_is_sent_again(memory: Driver, waits: Waits) -> None:
    handle = await memory.begin_upload(new_id())
    driver = RetryingDriver(faulty(memory, Fault(), Fault(When.AFTER)), sleep=waits.sleep)
    part = await driver.put_part(handle, 1, 0, Held(HELLO), len(HELLO))
    blob = await driver.commit_upload(handle, [part], None)
    assert await read_all(driver, blob.location) == HELLO


async def test_a_stream_is_never_sent_again(memory: Driver, waits: Waits) -> None:
    handle = await memory.begin_upload(new_id())
    inner = faulty(memory, Fault())
    with pytest.raises(DriverUnavailable):
        await RetryingDriver(inner, sleep=waits.sleep).put_part(handle, 1, 0, stream(HELLO), None)
    assert inner.called == ["put_part"]
    assert waits == []


@pytest.mark.parametrize("broken_at", [0, 1, MiB - 1, MiB, MiB + 5])
async def test_a_broken_read_goes_on_at_the_byte_it_reached(
    memory: Driver, waits: Waits, broken_at: int
) -> None:
    data = content(3 * MiB)
    blob = await memory.put_blob(new_id(), [data], None)
    inner = faulty(memory, *[Fault(When.MIDWAY, after=broken_at)] * 2, Fault())
    driver = RetryingDriver(inner, sleep=waits.sleep)
    assert await read_all(driver, blob.location, 10, len(data) - 10) == data[10:-10]
    assert inner.called == ["read_blob"] * 4


async def test_a_read_that_gets_nowhere_gives_up(memory: Driver, waits: Waits) -> None:
    blob = await memory.put_blob(new_id(), [HELLO], None)
    inner = FaultyDriver(memory, Scripted(methods={"read_blob": Fault(When.MIDWAY)}))
    driver = RetryingDriver(inner, RetryPolicy(attempts=4), waits.sleep)
    with pytest.raises(DriverUnavailable):
        await read_all(driver, blob.location)
    assert len(inner.called) == 4


async def test_a_listing_is_begun_again_but_never_repeats_itself(
    memory: Driver, waits: Waits
) -> None:
    for _ in range(3):
        await memory.put_blob(new_id(), [HELLO], None)
    driver = RetryingDriver(faulty(memory, Fault(), Fault(When.MIDWAY, after=2)), sleep=waits.sleep)
    seen: list[str] = []
    with pytest.raises(DriverUnavailable):
        await collect((blob.location async for blob in driver.list_blobs()), seen)
    assert len(waits) == 1
    assert len(set(seen)) == len(seen) == 2


# Read-only

Call = Callable[[Driver], Coroutine[Any, Any, object]]

WRITES: list[Call] = [
    lambda driver: driver.put_blob(new_id(), [HELLO], None),
    lambda driver: driver.mark_blob("x", mark_of(HELLO)),
    lambda driver: driver.delete_blobs([]),
    lambda driver: driver.begin_upload(new_id()),
    lambda driver: driver.put_part("x", 1, 0, Held(HELLO), None),
    lambda driver: driver.commit_upload("x", [], None),
    lambda driver: driver.abort_upload("x"),
]


@pytest.mark.parametrize("write", WRITES)
async def test_every_write_is_refused(write: Call) -> None:
    with pytest.raises(ReadOnlyStore, match="memory store is read-only"):
        await write(ReadOnlyDriver(MemoryDriver()))


# Faults


async def test_a_fault_before_does_nothing_and_a_fault_after_does_all(memory: Driver) -> None:
    driver = faulty(memory, Fault(When.BEFORE), Fault(When.AFTER))
    for stored in (0, 1):
        with pytest.raises(DriverUnavailable):
            await driver.put_blob(new_id(), [HELLO], None)
        assert len([blob async for blob in memory.list_blobs()]) == stored


async def test_a_read_breaks_at_the_byte_that_the_plan_says(memory: Driver) -> None:
    blob = await memory.put_blob(new_id(), [content(2 * MiB)], None)
    for after in (0, 1, MiB, MiB + 1, 2 * MiB, 5 * MiB):
        got: list[bytes] = []
        driver = faulty(memory, Fault(When.MIDWAY, after=after))
        async with driver.read_blob(blob.location) as pieces:
            with pytest.raises(DriverUnavailable):
                await collect(pieces, got)
        assert len(b"".join(got)) == min(after, 2 * MiB)


async def test_a_fault_without_an_error_only_delays(memory: Driver) -> None:
    driver = faulty(memory, Fault(error=None, delay=0.001))
    assert (await driver.put_blob(new_id(), [HELLO], None)).size == len(HELLO)


def test_a_seed_gives_the_same_faults_each_time() -> None:
    def faults(seed: int) -> list[object]:
        plan = Seeded(seed, 0.5, {"stat_blob"})
        drawn = [plan.fault("stat_blob", call) for call in range(50)]
        return [fault and (fault.when, fault.after) for fault in drawn]

    assert faults(1) == faults(1) != faults(2)
    assert any(faults(1))
    assert not all(faults(1))
    assert Seeded(1, 1.0, {"stat_blob"}).fault("put_blob", 0) is None


# Metrics


async def test_calls_errors_and_bytes_are_counted(memory: Driver) -> None:
    driver = MeasuredDriver(memory)
    blob = await driver.put_blob(new_id(), [HELLO], None)
    for _ in range(2):
        await read_all(driver, blob.location, 2)
    with pytest.raises(BlobNotFound):
        await read_all(driver, "nothing")
    [listed] = [found async for found in driver.list_blobs()]
    assert listed == blob
    counted = {name: (c.calls, c.errors, c.bytes) for name, c in driver.counters.items()}
    assert counted == {
        "put_blob": (1, 0, len(HELLO)),
        "read_blob": (3, 1, 2 * (len(HELLO) - 2)),
        "list_blobs": (1, 0, 0),
    }


async def test_the_time_a_client_takes_is_not_the_stores(
    memory: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0

    async def slow_client() -> AsyncIterator[bytes]:
        nonlocal now
        for _ in range(3):
            now += 1_000_000
            yield HELLO

    monkeypatch.setattr("registry_storage.drivers.wrappers.metrics.perf_counter_ns", lambda: now)
    driver = MeasuredDriver(memory)
    handle = await driver.begin_upload(new_id())
    await driver.put_part(handle, 1, 0, slow_client(), None)
    assert driver.counters["put_part"].nanoseconds == 0
    assert driver.counters["put_part"].bytes == 3 * len(HELLO)
