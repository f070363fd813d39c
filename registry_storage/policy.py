"""What a store accepts, and for how long it keeps its promises."""

from __future__ import annotations

from dataclasses import dataclass, field

from registry_storage.manifests import ManifestRules


@dataclass(frozen=True, slots=True)
class StorePolicy:
    """The settings of a store.  Times in seconds, sizes in bytes."""

    lease: float = 3600.0
    """How long content that nothing refers to is kept after a client was told that it exists."""
    upload_lifetime: float = 7 * 24 * 3600.0
    """How long an unfinished upload is kept after its last chunk."""
    garbage_delay: float = 2 * 3600.0
    """How long deleted bytes stay: longer than any read under way and any presigned URL."""
    max_open_uploads: int = 100
    """Of one subject at a time."""
    max_manifest_size: int = 4 * 1024 * 1024
    read_only: bool = False
    """Refuse every change; nothing is written to the driver or the catalog."""
    manifests: ManifestRules = field(default_factory=ManifestRules)
