"""The memory driver passes the suite, also with limits as strict as any backend has."""

from __future__ import annotations

import pytest

from registry_storage.drivers.api import KiB, PartLimits
from registry_storage.drivers.memory import MemoryDriver, MemorySpace
from registry_storage.testing import DriverHarness
from registry_storage.testing.suite import *  # noqa: F403

STRICT = PartLimits(
    min_size=64 * KiB,
    max_size=512 * KiB,
    max_parts=60,
    preferred_size=100 * KiB,
    needs_size=True,
    uniform=True,
)
STREAMING = PartLimits(preferred_size=None)


@pytest.fixture(params=[PartLimits(), STRICT, STREAMING], ids=["free", "strict", "streaming"])
def harness(request: pytest.FixtureRequest) -> DriverHarness:
    space = MemorySpace()
    return DriverHarness(open=lambda: MemoryDriver(space, request.param))
