"""A content-addressed store of container images, deduplicated by digest, over pluggable drivers.

    from registry_storage import Registry

    async with await Registry.open("filesystem", {"rootdirectory": "images"}) as registry:
        repository = registry.repository("team/app")
        layer = await repository.put_blob(b"...")

`registry_storage.errors` has every error, `registry_storage.drivers.api` the driver interface,
`registry_storage.testing` the suite that a driver must pass, `registry_storage.sync` the facade for
programs without an event loop.
"""

from registry_storage import media_types
from registry_storage.digest import Digest
from registry_storage.drivers.api import Driver
from registry_storage.hookspecs import DriverFactory
from registry_storage.images import image_index, image_manifest
from registry_storage.manifests import ManifestRules, parse_manifest
from registry_storage.plugins import describe_drivers, open_driver
from registry_storage.policy import StorePolicy
from registry_storage.registry import Registry
from registry_storage.repository import Repository
from registry_storage.values import (
    Actor,
    BlobInfo,
    Change,
    Manifest,
    Namespace,
    PushedManifest,
    Readiness,
    Referrer,
    RepositoryFacts,
    TagFacts,
    UploadStatus,
    Usage,
    Visibility,
)

__all__ = [
    "Actor",
    "BlobInfo",
    "Change",
    "Digest",
    "Driver",
    "DriverFactory",
    "Manifest",
    "ManifestRules",
    "Namespace",
    "PushedManifest",
    "Readiness",
    "Referrer",
    "Registry",
    "Repository",
    "RepositoryFacts",
    "StorePolicy",
    "TagFacts",
    "UploadStatus",
    "Usage",
    "Visibility",
    "describe_drivers",
    "image_index",
    "image_manifest",
    "media_types",
    "open_driver",
    "parse_manifest",
]
