"""What commands show: tables, and secrets that a script can take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

_AS_WIDE_AS_NEEDED = 10_000


def console() -> Console:
    """A terminal as wide as it is; what goes elsewhere is never broken, let alone cut."""
    found = Console()
    return found if found.is_terminal else Console(width=_AS_WIDE_AS_NEEDED)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output."""
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table, markup=False)


def time_of(milliseconds: int | None) -> str:
    """A time to the minute, in UTC; empty for None."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def size_of(size: int) -> str:
    """A number of bytes, for people."""
    return decimal(size)
