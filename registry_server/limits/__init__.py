"""How often things may be done, counted by all workers of a host together.

Each host counts for itself, and forgets when it is started anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from registry_server.limits.limiter import (
    LoginLimit,
    RequestLimit,
    TooManyLogins,
    TooManyRequests,
)
from registry_server.limits.table import Table
from registry_server.settings.hub import RateSettings

__all__ = ["Limits", "LoginLimit", "RequestLimit", "Table", "TooManyLogins", "TooManyRequests"]

FILE: Final = "rates.table"


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


def open_table(directory: Path) -> Table:
    """The table of a data directory."""
    return Table.open(directory / FILE)
