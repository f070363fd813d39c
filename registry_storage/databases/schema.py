"""What one part of the program keeps in a database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import MetaData


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables, and the revisions that make them; several may share one PostgreSQL database."""

    name: str
    """What messages call it, such as `catalog`."""
    setting: str
    """The key of the configuration that its URL comes from."""
    metadata: MetaData
    migrations: Path
    """The directory of its revisions."""
    version_table: str
    """Where its revision is noted; of each schema its own."""
