"""Writing the documents that hold an image together: what a script needs to push one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from registry_storage import media_types
from registry_storage.values import BlobInfo, PushedManifest


def image_manifest(
    config: BlobInfo,
    layers: Sequence[BlobInfo],
    *,
    config_type: str = media_types.OCI_CONFIG,
    layer_type: str = media_types.OCI_LAYER,
    artifact_type: str | None = None,
    subject: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> bytes:
    """An OCI image manifest (OCI Image Spec 1.1) that names blobs which were pushed before."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor(config, config_type),
        "layers": [descriptor(layer, layer_type) for layer in layers],
        "subject": subject,
        "annotations": annotations,
    }
    return _json(document)


def image_index(
    manifests: Sequence[Mapping[str, Any]], *, annotations: Mapping[str, str] | None = None
) -> bytes:
    """An OCI image index (OCI Image Spec 1.1) of the described manifests."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": manifests,
        "annotations": annotations,
    }
    return _json(document)


def descriptor(content: BlobInfo | PushedManifest, media_type: str) -> dict[str, Any]:
    """What a manifest says of something that it names (OCI Image Spec 1.1, "Descriptor")."""
    return {"mediaType": media_type, "digest": content.digest, "size": content.size}


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()
