"""Makes a store fail on purpose, by a plan: for tests of whatever stands on a driver.

A plan is asked before every call and answers with a `Fault` or None.  `Scripted` fails given calls,
`Seeded` fails at random, the same way for the same seed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Protocol, TypeVar

from registry_storage.drivers.api import (
    BlobKind,
    Driver,
    Handle,
    StoredBlob,
)
from registry_storage.drivers.wrappers.base import InterceptingDriver
from registry_storage.errors import DriverUnavailable

R = TypeVar("R")


class When(Enum):
    """At which point of a call a fault strikes."""

    BEFORE = auto()
    """Nothing has been done."""
    MIDWAY = auto()
    """A read or a listing has given `Fault.after` bytes or items; other calls: as BEFORE."""
    AFTER = auto()
    """All has been done, and the answer is lost."""


def _unavailable() -> BaseException:
    return DriverUnavailable("failed on purpose")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong in one call."""

    when: When = When.BEFORE
    error: Callable[[], BaseException] | None = _unavailable
    """Makes what is raised; None: the call is only delayed."""
    after: int = 0
    delay: float = 0.0
    """Seconds to wait before anything else."""


class FaultPlan(Protocol):
    """Decides what goes wrong."""

    def fault(self, method: str, call: int) -> Fault | None:
        """The fault of the `call`-th call (from 0, all methods together), which is of `method`."""


@dataclass(frozen=True, slots=True)
class Scripted:
    """Faults by number of the call, or by name of the method for each of its calls."""

    calls: Mapping[int, Fault] = field(default_factory=dict)
    methods: Mapping[str, Fault] = field(default_factory=dict)

    def fault(self, method: str, call: int) -> Fault | None:
        return self.calls.get(call) or self.methods.get(method)


class Seeded:
    """Fails a `rate` of the calls of these methods (None: of all), at random."""

    def __init__(self, seed: int, rate: float, methods: Collection[str] | None = None) -> None:
        self._random = random.Random(seed)
        self._rate = rate
        self._methods = methods

    def fault(self, method: str, call: int) -> Fault | None:
        if self._methods is not None and method not in self._methods:
            return None
        if self._random.random() >= self._rate:
            return None
        return Fault(self._random.choice(list(When)), after=self._random.randrange(100_000))


class FaultyDriver(InterceptingDriver):
    """Does as `inner` does, but for what `plan` says.  `called` lists the methods called so far."""

    def __init__(self, inner: Driver, plan: FaultPlan) -> None:
        super().__init__(inner)
        self.plan = plan
        self.called: list[str] = []

    @asynccontextmanager
    async def read_blob(
        self, location: str, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        fault = await self._next("read_blob")
        async with self.inner.read_blob(location, start, stop) as pieces:
            yield _cut(pieces, fault)

    def list_blobs(self, kind: BlobKind | None = None) -> AsyncIterator[StoredBlob]:
        return self._list("list_blobs", self.inner.list_blobs(kind))

    def list_uploads(self, older_than: datetime) -> AsyncIterator[Handle]:
        return self._list("list_uploads", self.inner.list_uploads(older_than))

    async def _next(self, method: str) -> Fault | None:
        """What is still to strike in the call that begins now; waits, and strikes what is first."""
        fault = self.plan.fault(method, len(self.called))
        self.called.append(method)
        if fault and fault.delay:
            await asyncio.sleep(fault.delay)
        if fault is None or fault.error is None:
            return None
        if fault.when is When.BEFORE:
            raise fault.error()
        return fault

    async def intercept(self, method: str, call: Callable[[], Awaitable[R]]) -> R:
        fault = await self._next(method)
        if fault and fault.when is When.MIDWAY:
            _strike(fault)
        result = await call()
        _strike(fault)
        return result

    async def _list(self, method: str, items: AsyncIterator[R]) -> AsyncIterator[R]:
        fault = await self._next(method)
        given = 0
        async for item in items:
            if fault and fault.when is When.MIDWAY and given == fault.after:
                break
            given += 1
            yield item
        _strike(fault)


def _strike(fault: Fault | None) -> None:
    if fault and fault.error:
        raise fault.error()


async def _cut(pieces: AsyncIterator[bytes], fault: Fault | None) -> AsyncIterator[bytes]:
    """The pieces, up to the byte where the fault strikes."""
    given = 0
    async for piece in pieces:
        if fault and fault.when is When.MIDWAY and given + len(piece) > fault.after:
            if head := piece[: fault.after - given]:
                yield head
            break
        given += len(piece)
        yield piece
    _strike(fault)
