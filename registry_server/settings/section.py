"""What every part of the configuration is: its unknown keys are errors, its values never change."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

DAY: Final = 24 * 3600.0
"""In seconds."""


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def section(kind: type[Section], description: str) -> Any:
    return Field(default_factory=kind, description=description)
