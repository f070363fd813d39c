"""`start`, `close`, and what a driver says of itself."""

from __future__ import annotations

from registry_storage.testing.bench import Workbench, contract
from registry_storage.testing.harness import Capability, DriverHarness
from registry_storage.testing.material import read_all


@contract
async def test_the_limits_make_sense(harness: DriverHarness) -> None:
    limits = harness.open().limits
    bounds = [limits.min_size, limits.preferred_size, limits.max_size]
    known = [bound for bound in bounds if bound is not None]
    assert known == sorted(known)
    assert limits.min_size >= 1
    assert limits.max_parts is None or limits.max_parts >= 1
    assert not (limits.preferred_size is None and limits.needs_size), "streams tell no size"


@contract
async def test_a_driver_has_a_name(harness: DriverHarness) -> None:
    assert harness.open().name


@contract
async def test_close_succeeds_when_there_is_nothing_to_free(harness: DriverHarness) -> None:
    never_started = harness.open()
    await never_started.close()
    closed = harness.open()
    await closed.start()
    await closed.close()
    await closed.close()


@contract
async def test_a_closed_driver_leaves_its_blobs_to_the_next(bench: Workbench) -> None:
    bench.needs(Capability.SECOND_INSTANCE)
    first = bench.harness.open()
    await first.start()
    blob = await bench.put_marked(b"hello, world")
    assert await read_all(first, blob.location) == b"hello, world"
    await first.close()
    assert await read_all(await bench.another(), blob.location) == b"hello, world"
