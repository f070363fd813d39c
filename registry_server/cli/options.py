"""Options that stand before the command and hold for all of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Options:
    """What was given before the command."""

    debug: bool = False
    """Show tracebacks."""


options = Options()
