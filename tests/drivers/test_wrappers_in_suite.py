"""Every wrapper passes the suite, over a driver that passes it; read-only its reading half."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from registry_storage.drivers.api import Driver
from registry_storage.drivers.memory import MemoryDriver, MemorySpace
from registry_storage.drivers.wrappers.faults import FaultyDriver, Scripted, Seeded
from registry_storage.drivers.wrappers.metrics import MeasuredDriver
from registry_storage.drivers.wrappers.read_only import ReadOnlyDriver
from registry_storage.drivers.wrappers.retry import RetryingDriver, RetryPolicy
from registry_storage.testing import Capability, DriverHarness
from registry_storage.testing.suite import *  # noqa: F403


def retrying(inner: Driver) -> Driver:
    return RetryingDriver(inner)


def faultless(inner: Driver) -> Driver:
    return FaultyDriver(inner, Scripted())


REPEATABLE = ("put_blob", "mark_blob", "stat_blob", "delete_blobs", "read_blob", "commit_upload")


def retrying_a_faulty_one(inner: Driver) -> Driver:
    """A fifth of what can be repeated fails, before, midway or after; nobody notices."""
    policy = RetryPolicy(attempts=15, first_wait=0.0001)
    plan = Seeded(seed=20261125, rate=0.2, methods=REPEATABLE)
    return RetryingDriver(FaultyDriver(inner, plan), policy)


Wrap = Callable[[Driver], Driver]


@pytest.fixture(params=[retrying, faultless, MeasuredDriver, ReadOnlyDriver, retrying_a_faulty_one])
def harness(request: pytest.FixtureRequest) -> DriverHarness:
    wrap, space = request.param, MemorySpace()
    if wrap is not ReadOnlyDriver:
        return DriverHarness(open=lambda: wrap(MemoryDriver(space)))
    return DriverHarness(
        open=lambda: wrap(MemoryDriver(space)),
        writer=lambda: MemoryDriver(space),
        lacks={Capability.WRITES: "it refuses to write"},
    )
