"""How often a password may be tried: a bucket for each client and name, refilled over time."""

from __future__ import annotations

import math
from collections.abc import Callable

from registry_server.auth.access import TooManyLogins

Key = tuple[bytes, str]
"""(client, user name)"""

MAX_KEYS = 10_000


class LoginThrottle:
    """At most `burst` failures at once, and one more every `interval` seconds.

    An attempt is charged before its outcome is known, so that many at once gain nothing, and is
    given back when it succeeds.
    """

    def __init__(self, burst: int, interval: float, clock: Callable[[], float]) -> None:
        self._tolerance = burst * interval
        self._interval = interval
        self._clock = clock
        self._paid_until: dict[Key, float] = {}

    def charge(self, key: Key) -> None:
        """Take one attempt.  Raises `TooManyLogins` where there is none left."""
        now = self._clock()
        paid_until = max(self._paid_until.get(key, now), now) + self._interval
        excess = paid_until - now - self._tolerance
        if excess > 0:
            raise TooManyLogins(math.ceil(excess))
        self._remember(key, paid_until)

    def forgive(self, key: Key) -> None:
        """Forget every attempt: the password was right."""
        self._paid_until.pop(key, None)

    def _remember(self, key: Key, paid_until: float) -> None:
        self._paid_until.pop(key, None)
        if len(self._paid_until) >= MAX_KEYS:
            del self._paid_until[next(iter(self._paid_until))]
        self._paid_until[key] = paid_until
