"""Everything that an image consists of, by digest, wherever it lies.

`closure` follows a manifest to its children, config and layers, and checks each document against
its digest.  Two places hold the same image exactly if their closures are equal.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

Documents = dict[str, bytes]
"""Digest to bytes."""

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def sha256(data: bytes) -> str:
    """The digest of `data`, with its algorithm in front."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def closure(
    root: str, read_manifest: Callable[[str], bytes], read_blob: Callable[[str], bytes]
) -> Documents:
    """The manifest `root` and all that it names, each read once and checked against its digest."""
    found: Documents = {}

    def add(digest: str, read: Callable[[str], bytes]) -> bytes:
        if digest not in found:
            data = read(digest)
            assert sha256(data) == digest, f"{digest} holds other bytes"
            found[digest] = data
        return found[digest]

    manifest = json.loads(add(root, read_manifest))
    for child in manifest.get("manifests", ()):
        found |= closure(child["digest"], read_manifest, read_blob)
    for blob in (manifest.get("config"), *manifest.get("layers", ())):
        if blob:
            add(blob["digest"], read_blob)
    return found


def in_layout(layout: Path, tag: str) -> tuple[str, Documents]:
    """The digest behind a tag of an OCI layout, and the closure."""
    index = json.loads((layout / "index.json").read_bytes())
    (root,) = [
        entry["digest"]
        for entry in index["manifests"]
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag
    ]

    def read(digest: str) -> bytes:
        return (layout / "blobs" / digest.replace(":", "/")).read_bytes()

    return root, closure(root, read, read)


def in_directory(folder: Path) -> tuple[str, Documents]:
    """The digest of the image in a folder of skopeo's `dir:` kind, and the closure."""
    top = (folder / "manifest.json").read_bytes()
    root = sha256(top)

    def manifest(digest: str) -> bytes:
        return top if digest == root else (folder / f"{_hex(digest)}.manifest.json").read_bytes()

    return root, closure(root, manifest, lambda digest: (folder / _hex(digest)).read_bytes())


def _hex(digest: str) -> str:
    return digest.partition(":")[2]


def config_digest(documents: Documents, root: str) -> str:
    """The digest of an image's config: what Docker and podman call the image's ID."""
    digest: str = json.loads(documents[root])["config"]["digest"]
    return digest


def layers_fit_the_config(documents: Documents, root: str) -> bool:
    """Whether the unpacked layers have the hashes that the config promises."""
    config = json.loads(documents[config_digest(documents, root)])
    layers = [documents[layer["digest"]] for layer in json.loads(documents[root])["layers"]]
    diff_ids: list[str] = config["rootfs"]["diff_ids"]
    return [sha256(gzip.decompress(layer)) for layer in layers] == diff_ids


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Wire:
    """The registry as plain HTTP shows it, without any client program's help."""

    url: str
    ca: Path | None = None
    credentials: tuple[str, str] | None = None

    def get(self, path: str, *, method: str = "GET") -> Answer:
        """Ask for `/v2/` and `path`.  An error status is an answer like any other."""
        request = urllib.request.Request(f"{self.url}/v2/{path}", method=method)
        request.add_header("Accept", ", ".join(MANIFEST_TYPES))
        if self.credentials:
            token = base64.b64encode(":".join(self.credentials).encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with urllib.request.urlopen(request, context=self._trust(), timeout=60) as answer:
                return _answer(answer)
        except HTTPError as answer:
            return _answer(answer)

    def _trust(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=str(self.ca)) if self.ca else None

    def closure(self, repository: str, reference: str) -> tuple[str, Documents]:
        """The digest behind a tag or digest of a repository, and the closure."""
        head = self.get(f"{repository}/manifests/{reference}", method="HEAD")
        assert head.status == 200, f"{repository} has no {reference}: {head}"
        root = head.headers["docker-content-digest"]
        return root, closure(
            root,
            lambda digest: self._read(f"{repository}/manifests/{digest}"),
            lambda digest: self._read(f"{repository}/blobs/{digest}"),
        )

    def _read(self, path: str) -> bytes:
        answer = self.get(path)
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.body!r}"
        return answer.body

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository, as the server lists them."""
        tags: list[str] = json.loads(self._read(f"{repository}/tags/list"))["tags"]
        return tags


def _answer(response: Any) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, response.read())
