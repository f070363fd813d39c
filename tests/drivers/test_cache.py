"""The cache driver passes the suite, before any store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from registry_storage.drivers.api import ForeignData, KiB, MiB, PartLimits
from registry_storage.drivers.composite.cache import CacheDriver
from registry_storage.drivers.composite.cache.files import CacheFiles
from registry_storage.drivers.memory import MemoryDriver, MemorySpace
from registry_storage.drivers.wrappers.faults import FaultyDriver, Seeded
from registry_storage.drivers.wrappers.retry import RetryingDriver, RetryPolicy
from registry_storage.plugins import open_driver
from registry_storage.testing import DriverHarness
from registry_storage.testing.suite import *  # noqa: F403

READS = ("stat_blob", "read_blob")
STRICT = PartLimits(
    min_size=64 * KiB, max_size=512 * KiB, max_parts=60, preferred_size=100 * KiB, needs_size=True
)


def before_strict_memory(folder: Path) -> DriverHarness:
    space = MemorySpace()
    return DriverHarness(
        lambda: CacheDriver(MemoryDriver(space, STRICT), CacheFiles(folder, 64 * MiB))
    )


def before_files(folder: Path) -> DriverHarness:
    settings = {
        "store": {"filesystem": {"rootdirectory": str(folder / "store")}},
        "directory": folder / "cache",
        "size": "64MiB",
    }
    return DriverHarness(
        lambda: open_driver("cache", settings),
        extensions=frozenset({ForeignData}),
        plant_foreign_data=lambda: (folder / "store/docker/registry/v2").mkdir(parents=True),
    )


def with_no_room(folder: Path) -> DriverHarness:
    """Nearly everything has to make room for the next."""
    space = MemorySpace()
    return DriverHarness(lambda: CacheDriver(MemoryDriver(space), CacheFiles(folder, 2 * MiB)))


def before_a_faulty_store(folder: Path) -> DriverHarness:
    """A fifth of all reads fail, before, midway or after; nobody notices."""
    space = MemorySpace()

    def made() -> RetryingDriver:
        faulty = FaultyDriver(MemoryDriver(space), Seeded(1, rate=0.2, methods=READS))
        cache = CacheDriver(faulty, CacheFiles(folder, 64 * MiB))
        return RetryingDriver(cache, RetryPolicy(attempts=15, first_wait=0.0001))

    return DriverHarness(made)


@pytest.fixture(
    params=[before_strict_memory, before_files, with_no_room, before_a_faulty_store],
    ids=lambda made: made.__name__,
)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> DriverHarness:
    made: Callable[[Path], DriverHarness] = request.param
    return made(tmp_path)
