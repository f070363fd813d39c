"""The mirror driver passes the suite, over any stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from registry_storage.drivers.api import Driver, ForeignData, KiB, PartLimits
from registry_storage.drivers.composite.mirror import MirrorDriver
from registry_storage.drivers.filesystem import FilesystemDriver
from registry_storage.drivers.memory import MemoryDriver, MemorySpace
from registry_storage.drivers.wrappers.faults import FaultyDriver, Seeded
from registry_storage.drivers.wrappers.retry import RetryingDriver, RetryPolicy
from registry_storage.plugins import open_driver
from registry_storage.testing import DriverHarness
from registry_storage.testing.suite import *  # noqa: F403

REPEATABLE = ("put_blob", "mark_blob", "stat_blob", "delete_blobs", "read_blob", "commit_upload")
STRICT = PartLimits(
    min_size=64 * KiB, max_size=512 * KiB, max_parts=60, preferred_size=100 * KiB, needs_size=True
)


def over_memory(folder: Path) -> DriverHarness:
    spaces = [MemorySpace(), MemorySpace()]
    return DriverHarness(lambda: MirrorDriver([MemoryDriver(space) for space in spaces], 2))


def over_files_and_strict_memory(folder: Path) -> DriverHarness:
    space = MemorySpace()

    def made() -> Driver:
        return MirrorDriver([FilesystemDriver(folder), MemoryDriver(space, STRICT)], 2)

    return DriverHarness(
        made,
        extensions=frozenset({ForeignData}),
        plant_foreign_data=lambda: (folder / "docker/registry/v2").mkdir(parents=True),
    )


def over_three_of_which_one_must(folder: Path) -> DriverHarness:
    settings = {
        "stores": [{"filesystem": {"rootdirectory": str(folder / name)}} for name in "abc"],
        "require": "one",
    }
    return DriverHarness(
        lambda: open_driver("mirror", settings),
        extensions=frozenset({ForeignData}),
        plant_foreign_data=lambda: (folder / "b/docker/registry/v2").mkdir(parents=True),
    )


def over_faulty_stores(folder: Path) -> DriverHarness:
    """A tenth of what each store is asked fails, before, midway or after; nobody notices."""
    spaces = [MemorySpace(), MemorySpace()]

    def faulty(space: MemorySpace, seed: int) -> Driver:
        return FaultyDriver(MemoryDriver(space), Seeded(seed, rate=0.1, methods=REPEATABLE))

    def made() -> Driver:
        mirror = MirrorDriver([faulty(space, seed) for seed, space in enumerate(spaces)], 2)
        return RetryingDriver(mirror, RetryPolicy(attempts=15, first_wait=0.0001))

    return DriverHarness(made)


@pytest.fixture(
    params=[
        over_memory,
        over_files_and_strict_memory,
        over_three_of_which_one_must,
        over_faulty_stores,
    ],
    ids=lambda made: made.__name__,
)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> DriverHarness:
    made: Callable[[Path], DriverHarness] = request.param
    return made(tmp_path)
