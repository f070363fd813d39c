"""Who may do how much: by the address that they come from, and by their name."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from registry_server.crowd import client_of
from registry_server.limits.gcra import SECOND, Rate, give_back, take
from registry_server.limits.table import Table

Clock = Callable[[], float]

NAMES_OF_ADDRESS: Final = 5
"""An address may fail at so many times as many logins as one name from that address: behind one
address there may be a company."""


class TooManyRequests(Exception):
    """Somebody asks too often; `retry_after` is in seconds."""

    def __init__(self, what: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many {what}; try again in {retry_after} s")


class TooManyLogins(TooManyRequests):
    """Passwords are being tried too fast."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("logins", retry_after)


class Limiter:
    """One sort of thing, at one rate for each key."""

    def __init__(self, table: Table, sort: str, rate: Rate, clock: Clock = time.monotonic) -> None:
        self._table = table
        self._sort = sort.encode()
        self._rate = rate
        self._clock = clock

    def take(self, key: bytes) -> float:
        """Count one; 0, or where there is none left the seconds after which there will be."""
        now = self._now()
        wait = 0

        def change(paid_until: int) -> int:
            nonlocal wait
            after, wait = take(self._rate, paid_until, now)
            return after

        self._table.update(self._name(key), now, change)
        return wait / SECOND

    def give_back(self, key: bytes) -> None:
        """Count one no longer."""
        now = self._now()
        self._table.update(self._name(key), now, lambda paid: give_back(self._rate, paid, now))

    def forget(self, key: bytes) -> None:
        """Count nothing of it any longer."""
        self._table.update(self._name(key), self._now(), lambda _: 0)

    def _now(self) -> int:
        return int(self._clock() * SECOND)

    def _name(self, key: bytes) -> bytes:
        return b"%s\0%s" % (self._sort, key)


class LoginLimit:
    """How often logins may fail, by address and name, and by address.

    A login is charged before its outcome is known, so that many at once gain nothing, and forgiven
    when it succeeds.  An address that stands for many clients counts only with a name.
    """

    def __init__(self, table: Table, count: int, clock: Clock = time.monotonic) -> None:
        self._by_name = Limiter(table, "login-name", Rate(count), clock)
        self._by_address = Limiter(table, "login", Rate(count * NAMES_OF_ADDRESS), clock)

    def charge(self, address: str, name: str) -> None:
        """Take one attempt.  Raises `TooManyLogins` where there is none left."""
        client = client_of(address)
        wait = self._by_name.take(_pair(client, name))
        if client and not wait:
            wait = self._by_address.take(client)
        if wait:
            raise TooManyLogins(math.ceil(wait))

    def forgive(self, address: str, name: str) -> None:
        """It succeeded: who knows a password need not guess it, but may still guess others."""
        client = client_of(address)
        self._by_name.forget(_pair(client, name))
        if client:
            self._by_address.give_back(client)


def _pair(client: bytes, name: str) -> bytes:
    return b"%b\0%b" % (client, name.encode("utf-8", "surrogatepass"))


class RequestLimit:
    """How often something may be asked for, by address and by user."""

    def __init__(self, table: Table, what: str, count: int, clock: Clock = time.monotonic) -> None:
        self._what = what
        self._by_address = Limiter(table, f"{what}-address", Rate(count), clock)
        self._by_user = Limiter(table, f"{what}-user", Rate(count), clock)

    def charge(self, address: str, user: str = "") -> None:
        """Count one request; no user: nobody in particular.  Raises `TooManyRequests`."""
        client = client_of(address)
        wait = self._by_address.take(client) if client else 0.0
        if user and not wait:
            wait = self._by_user.take(user.encode())
        if wait:
            raise TooManyRequests(self._what, math.ceil(wait))
