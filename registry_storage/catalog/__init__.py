"""The catalog: facts about repositories, blobs, manifests and tags, in SQLite or PostgreSQL.

`Catalog` runs operations; each module beside it holds those of one noun.
"""

from __future__ import annotations

from registry_storage.catalog.engine import Catalog

__all__ = ["Catalog"]
