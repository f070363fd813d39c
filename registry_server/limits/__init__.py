"""How often things may be done, counted by all workers of a host together.

Each host counts for itself, and forgets when it is started anew.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry_server.limits.limiter import (
    LoginLimit,
    RequestLimit,
    TooManyLogins,
    TooManyRequests,
)
from registry_server.limits.table import Table
from registry_server.settings.hub import RateSettings

if TYPE_CHECKING:
    from registry_server.settings import Settings

__all__ = [
    "Limits",
    "LoginLimit",
    "RequestLimit",
    "TooManyLogins",
    "TooManyRequests",
    "open_limits",
]

FILE: Final = "rates.table"
_DEFAULT: Final = RateSettings.model_validate({})


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one server."""

    logins: LoginLimit
    """Of those that fail."""
    tokens: RequestLimit
    pulls: RequestLimit | None
    """Of manifests; None: no limit."""

    @classmethod
    def of(cls, rates: RateSettings, table: Table) -> Limits:
        """Those of the settings, counted in `table`."""
        pulls = RequestLimit(table, "pulls", rates.pulls) if rates.pulls is not None else None
        return cls(
            LoginLimit(table, rates.logins), RequestLimit(table, "tokens", rates.tokens), pulls
        )

    @classmethod
    def of_process(cls) -> Limits:
        """The limits by default, counted by this process alone."""
        return cls.of(_DEFAULT, Table.of_process())


def open_limits(settings: Settings, resources: AsyncExitStack) -> Limits:
    """Those of a server; `resources` close what they are counted in.

    Where no passwords are kept there is nothing to count, and no file is made.
    """
    hub = settings.auth.hub
    if hub is None and settings.auth.htpasswd is None:
        return Limits.of_process()
    table = Table.open(settings.data.directory / FILE)
    resources.callback(table.close)
    return Limits.of(hub.rates if hub is not None else _DEFAULT, table)
