"""How often something may be done: the generic cell rate algorithm, pure.

All that is remembered of somebody is one number, the time that they are *paid until*.  Everything
they do moves it on by one interval, from now at the least; who has paid further ahead than the
whole of their rate has to wait.  Times are whole microseconds of any clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

SECOND: Final = 1_000_000
MAX_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class Rate:
    """So many at once, and then as many again over `seconds`, at most an hour."""

    count: int
    seconds: float = 60.0

    @cached_property
    def interval(self) -> int:
        """What one costs."""
        return max(1, round(self.seconds * SECOND / self.count))

    @cached_property
    def tolerance(self) -> int:
        """How far ahead one may have paid."""
        return self.interval * self.count

    def is_plausible(self, paid_until: int, now: int) -> bool:
        """Whether that can be the result of `take`, of this clock and not long ago.

        It is not where the clock was set back, the machine started anew, or a process died while
        it wrote: then nothing counts as remembered.
        """
        return now < paid_until <= now + self.tolerance


def take(rate: Rate, paid_until: int, now: int) -> tuple[int, int]:
    """What is to be remembered now, and how long to wait before it may be done: 0 if it may."""
    base = paid_until if rate.is_plausible(paid_until, now) else now
    wait = base + rate.interval - now - rate.tolerance
    return (base, wait) if wait > 0 else (base + rate.interval, 0)


def give_back(rate: Rate, paid_until: int, now: int) -> int:
    """What is to be remembered where one that was taken shall not count after all."""
    base = paid_until if rate.is_plausible(paid_until, now) else now
    return max(now, base - rate.interval)
