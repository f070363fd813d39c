"""Options that stand before the command and hold for all of them, and arguments of several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Optional

import typer

ConfigPath = Annotated[
    Optional[Path],  # noqa: UP045 -- typer reads the annotation at run time
    typer.Argument(
        metavar="[CONFIG]",
        help="The configuration file; without it the one that REGISTRY_CONFIGURATION_PATH names, "
        "or none.",
        show_default=False,
    ),
]


@dataclass(slots=True)
class Options:
    """What was given before the command."""

    debug: bool = False
    """Show tracebacks."""


options = Options()
