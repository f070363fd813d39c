"""How a driver under test is described to the suite: by fields, never by its name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum

from registry_storage.drivers.api import Driver, MiB
from registry_storage.errors import (
    AccessDenied,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    Throttled,
)


class Capability(Enum):
    """What a store may lack and still be of use."""

    WRITES = "blobs can be stored and deleted through it"
    LISTS_UPLOADS = "uploads under way can be listed"
    SECOND_INSTANCE = "another instance can be opened over the same backend"


class Failure(Enum):
    """How a backend can fail, and what the driver must raise then."""

    FORBIDDEN = AccessDenied
    THROTTLED = Throttled
    BROKEN = DriverUnavailable
    SILENT = DriverTimeout
    FULL = NoSpace

    def __init__(self, error: type[DriverError]) -> None:
        self.error = error


@dataclass(frozen=True, slots=True)
class DriverHarness:
    """One driver, over a backend that nobody else uses while a test runs."""

    open: Callable[[], Driver]
    """Constructs an instance, not started; all of one test's are over the same backend."""
    lacks: Mapping[Capability, str] = field(default_factory=dict)
    """What the driver does not have, each with the reason, which the skipped tests show."""
    writer: Callable[[], Driver] | None = None
    """For a driver that lacks `WRITES`: constructs one over the same backend that does not."""
    extensions: frozenset[type] = frozenset()
    """The extensions that the driver has; it must have these, and no other."""
    failures: Mapping[Failure, Callable[[], AbstractContextManager[object]]] = field(
        default_factory=dict
    )
    """Contexts within which the backend fails so, for writes at least."""
    plant_foreign_data: Callable[[], Awaitable[object] | None] | None = None
    """Puts something of somebody else's into the backend, for the extension `ForeignData`."""
    residue: Callable[[], object] | None = None
    """All that lies in the backend, by any means: must be the same before and after a test."""
    largest: int = 32 * MiB
    """No test stores more bytes in one blob than this; limits above it are not tried."""
