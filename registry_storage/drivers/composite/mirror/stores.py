"""One store of a mirror and whether it answers, and how several are asked at once.

A store that could not be reached is *away* for a while: it is read last, and written to only where
the mirror cannot do without it.  So a store that is down costs one time limit now and then, not one
in each call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from registry_storage.drivers.api import Driver
from registry_storage.errors import (
    BlobNotFound,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    TransientError,
)

R = TypeVar("R")
Clock = Callable[[], float]

AWAY_SECONDS: Final = 15.0
"""How long a store that could not be reached is not asked unless it has to be."""

log = logging.getLogger(__name__)


class Store:
    """One store.  A driver that could not start yet is started when it is first needed."""

    def __init__(self, index: int, driver: Driver, clock: Clock = time.monotonic) -> None:
        self.index = index
        self.driver = driver
        self._clock = clock
        self._away_until: float | None = None
        self._starting = asyncio.Lock()
        self._started = False

    def __str__(self) -> str:
        return f"store {self.index} ({self.driver.name})"

    @property
    def is_away(self) -> bool:
        """Whether it could not be reached a short while ago."""
        return self._away_until is not None and self._clock() < self._away_until

    async def start(self) -> None:
        """Start the driver.  Its errors say which store it is."""
        try:
            await self.driver.start()
        except DriverError as error:
            self.failed(error)
            raise type(error)(f"{self} of the mirror: {error}") from error
        self._started = True

    async def close(self) -> None:
        """Close the driver, started or not."""
        self._started = False
        await self.driver.close()

    async def ready(self) -> Driver:
        """The driver, started.  Raises what its start raises, or that it is away."""
        if not self._started:
            async with self._starting:
                if self.is_away:
                    raise DriverUnavailable(f"{self} of the mirror could not be reached; try again")
                if not self._started:
                    await self.start()
        return self.driver

    async def ask(self, call: Callable[[Driver], Awaitable[R]]) -> R:
        """What `call` answers; notes whether the store does at all."""
        try:
            answer = await call(await self.ready())
        except DriverError as error:
            self.failed(error)
            raise
        self.answered()
        return answer

    def failed(self, error: DriverError) -> None:
        """Note an error: if it means that the store cannot be reached, it is away from now."""
        if isinstance(error, DriverUnavailable | DriverTimeout) and not self.is_away:
            if self._away_until is None:
                log.warning("%s of the mirror does not answer: %s", self, error)
            self._away_until = self._clock() + AWAY_SECONDS

    def answered(self) -> None:
        """Note that the store can be reached."""
        if self._away_until is not None:
            log.info("%s of the mirror answers again", self)
            self._away_until = None


@dataclass(slots=True)
class Answers(Generic[R]):
    """What several stores answered, by index."""

    given: dict[int, R] = field(default_factory=dict)
    errors: dict[int, DriverError] = field(default_factory=dict)

    @property
    def nearest(self) -> R:
        """The answer of the nearest store that gave one."""
        return self.given[min(self.given)]


async def ask_all(
    stores: Iterable[Store], call: Callable[[Store, Driver], Awaitable[R]]
) -> Answers[R]:
    """Ask these stores at the same time; a cancellation waits until each of them has ended."""
    asked = list(stores)
    calls = [_asked(store, call) for store in asked]
    results = await asyncio.gather(*calls, return_exceptions=True)
    answers = Answers[R]()
    for store, result in zip(asked, results, strict=True):
        if isinstance(result, DriverError):
            answers.errors[store.index] = result
        elif isinstance(result, BaseException):
            raise result
        else:
            answers.given[store.index] = result
    return answers


async def _asked(store: Store, call: Callable[[Store, Driver], Awaitable[R]]) -> R:
    return await store.ask(lambda driver: call(store, driver))


def most_telling(errors: Iterable[DriverError]) -> DriverError:
    """The error that a caller should see, of several.

    One that may pass first: until then nobody knows what that store holds.  That nothing was found
    comes last: it is true only if every store says so.
    """
    return min(errors, key=_rank)


def _rank(error: DriverError) -> int:
    if isinstance(error, TransientError):
        return 0
    return 2 if isinstance(error, BlobNotFound) else 1
