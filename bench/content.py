"""Images and blobs made up on the fly; the same seed gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"

_PIECE = MiB


def digest_of(data: bytes) -> str:
    """The sha256 digest of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Blob:
    """`size` bytes that do not compress, determined by `seed`."""

    size: int
    seed: str

    def pieces(self) -> Iterator[bytes]:
        """The bytes, at most 1 MiB at a time; no two pieces are equal."""
        piece = random.Random(self.seed).randbytes(min(_PIECE, self.size))
        for start in range(0, self.size, _PIECE):
            length = min(_PIECE, self.size - start)
            number = start.to_bytes(8, "big")[-length:]
            yield number + piece[len(number) : length]

    def read(self) -> bytes:
        """All of it in memory."""
        return b"".join(self.pieces())

    def digest(self) -> str:
        """Its sha256 digest."""
        hasher = hashlib.sha256()
        for piece in self.pieces():
            hasher.update(piece)
        return f"sha256:{hasher.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its config and layers, and the manifest that names them."""

    layers: tuple[bytes, ...]
    config: bytes
    manifest: bytes

    @classmethod
    def make(cls, seed: str, *, layers: int = 10, layer_size: int = 4 * KiB) -> Image:
        """An image that shares nothing with one of another seed."""
        contents = tuple(Blob(layer_size, f"{seed}/{number}").read() for number in range(layers))
        config = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor(CONFIG_TYPE, config),
            "layers": [_descriptor(LAYER_TYPE, content) for content in contents],
        }
        return cls(contents, config, json.dumps(manifest, indent=3).encode())


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
