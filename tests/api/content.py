"""Images, indexes, artifacts and blobs to push: deterministic, small, and as odd as asked for."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client

OCTETS = "application/octet-stream"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

MAX_MANIFEST = 4 * 1024 * 1024

Json = dict[str, Any]


def blob(size: int, seed: object = 0) -> bytes:
    """`size` incompressible bytes, the same for the same seed."""
    return random.Random(f"{seed}/{size}").randbytes(size)


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


ABSENT = digest_of(b"nobody ever pushed this")


def descriptor(
    data: bytes, media_type: str, /, *, algorithm: str = "sha256", **fields: Any
) -> Json:
    """The descriptor of `data`, with more fields as given."""
    return {
        "mediaType": media_type,
        "digest": digest_of(data, algorithm),
        "size": len(data),
        **fields,
    }


def encode(document: Json) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest and the blobs that it names."""

    document: Json
    blobs: tuple[bytes, ...] = field(repr=False, default=())

    @property
    def manifest(self) -> bytes:
        return encode(self.document)

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    def descriptor(self, **fields: Any) -> Json:
        return descriptor(self.manifest, self.document["mediaType"], **fields)

    def push(self, client: Client, repository: str, tag: str | None = None) -> str:
        """Push blobs, then manifest (by digest, or by tag); return the manifest's digest."""
        self.push_blobs(client, repository)
        return client.push_manifest(repository, self.manifest, tag)

    def push_blobs(self, client: Client, repository: str) -> None:
        for data in self.blobs:
            client.push_blob(repository, data)


def image(seed: object = 0, *, layers: int = 1, **fields: object) -> Image:
    """An OCI image of small layers; `fields` are added to its manifest, or replace what it has."""
    config = encode({"architecture": "amd64", "os": "linux", "author": f"{seed}"})
    contents = tuple(blob(256 + n, f"{seed}/layer {n}") for n in range(layers))
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(config, CONFIG),
        "layers": [descriptor(content, LAYER) for content in contents],
        **fields,
    }
    return Image(document, (config, *contents))


def docker_image(seed: object = 0) -> Image:
    """A Docker schema 2 image."""
    config = encode({"architecture": "amd64", "os": "linux", "author": f"docker {seed}"})
    content = blob(300, f"{seed}/docker")
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": descriptor(config, DOCKER_CONFIG),
        "layers": [descriptor(content, DOCKER_LAYER)],
    }
    return Image(document, (config, content))


def artifact(
    seed: object = 0,
    *,
    subject: Json | None = None,
    artifact_type: str | None = "application/vnd.example.signature.v1",
    **fields: object,
) -> Image:
    """An artifact with the empty config, for `subject` where one is given."""
    content = blob(64, f"{seed}/artifact")
    document: Json = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(b"{}", EMPTY),
        "layers": [descriptor(content, OCTETS)],
    }
    if artifact_type is not None:
        document["artifactType"] = artifact_type
    if subject is not None:
        document["subject"] = subject
    return Image(document | fields, (b"{}", content))


def index(children: list[Json], **fields: object) -> Image:
    """An OCI index of descriptors; it brings no blobs of its own."""
    return Image({"schemaVersion": 2, "mediaType": INDEX, "manifests": children, **fields})


def padded_manifest(size: int) -> Image:
    """An image whose manifest is exactly `size` bytes long, by many annotations of 1000 bytes.

    The keys all have one length, so that the last value alone decides the size.
    """
    base = image("padded", annotations={"fill": ""})
    annotations = {"fill": ""}
    missing = size - len(base.manifest)
    entry = len('"org.example.000000":"",')
    for number in range(missing // (1000 + entry)):
        annotations[f"org.example.{number:06}"] = "x" * 1000
    padded = Image(base.document | {"annotations": annotations}, base.blobs)
    annotations["fill"] = "x" * (size - len(padded.manifest))
    assert len(padded.manifest) == size
    return padded
