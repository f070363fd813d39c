"""Which resource a request's target names (OCI Distribution Spec 1.1, "Endpoints").

Repository names contain slashes and may look like endpoints, so a target is read from its right:
the last marker that fits decides, and whatever stands before it is the name.  Nothing is decoded:
no name, reference or digest of the spec needs a percent sign, so none gets past its grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from registry_storage.digest import Digest
from registry_storage.names import parse_repository_name, parse_tag

PREFIX: Final = "/v2"


class Resource(StrEnum):
    """What the endpoints are about; the value is the pattern as the spec writes it."""

    BASE = "/v2/"
    CATALOG = "/v2/_catalog"
    TAGS = "/v2/<name>/tags/list"
    MANIFEST = "/v2/<name>/manifests/<reference>"
    REFERRERS = "/v2/<name>/referrers/<digest>"
    BLOB = "/v2/<name>/blobs/<digest>"
    UPLOADS = "/v2/<name>/blobs/uploads/"
    UPLOAD = "/v2/<name>/blobs/uploads/<id>"


@dataclass(frozen=True, slots=True)
class Target:
    """A target, understood: every part is known to be in its grammar, but for the upload's id."""

    resource: Resource
    name: str = ""
    reference: Digest | str = ""
    """Digest or tag of a manifest, digest of a blob or a subject, id of an upload."""
    query: str = ""
    """As it was sent."""


_LIKE_A_DIGEST = re.compile(r"[A-Za-z0-9+._-]*:")
_BEFORE_A_DIGEST: Final = {
    "manifests": Resource.MANIFEST,
    "blobs": Resource.BLOB,
    "referrers": Resource.REFERRERS,
}


def is_ours(path: str) -> bool:
    """Whether a path belongs to the distribution API."""
    return path.startswith("/v2/") or path == PREFIX


@lru_cache(maxsize=4096)
def parse_target(target: str) -> Target | None:
    """Understand a target like `/v2/team/app/manifests/latest?ns=x`; None: no such endpoint.

    Raises `NameInvalid`, `TagInvalid`, `DigestInvalid`.
    """
    path, _, query = target.partition("?")
    if path in ("/v2", "/v2/"):
        return Target(Resource.BASE, query=query)
    if path == Resource.CATALOG:
        return Target(Resource.CATALOG, query=query)
    found = _from_the_right(path.removeprefix("/v2/").split("/"))
    if found is None:
        return None
    resource, name, reference = found
    return Target(
        resource, parse_repository_name(name), _parse_last_part(resource, reference), query
    )


def _from_the_right(parts: list[str]) -> tuple[Resource, str, str] | None:
    match parts:
        case [*name, "blobs", "uploads", ""] | [*name, "blobs", "uploads"]:
            return Resource.UPLOADS, "/".join(name), ""
        case [*name, "manifests", reference]:
            return Resource.MANIFEST, "/".join(name), reference
        case [*name, "blobs", digest]:
            return Resource.BLOB, "/".join(name), digest
        case [*name, "referrers", digest]:
            return Resource.REFERRERS, "/".join(name), digest
        case [*name, "blobs", "uploads", upload_id] | [*name, "blobs", "uploads", upload_id, ""]:
            return Resource.UPLOAD, "/".join(name), upload_id
        case [*name, "tags", "list"]:
            return Resource.TAGS, "/".join(name), ""
    return _with_slashes_in_a_digest(parts)


def _with_slashes_in_a_digest(parts: list[str]) -> tuple[Resource, str, str] | None:
    """A digest that goes astray (`sha256:../x`) is an invalid digest, not another endpoint."""
    for at, part in enumerate(parts[1:], 1):
        if _LIKE_A_DIGEST.match(part) and parts[at - 1] in _BEFORE_A_DIGEST:
            resource = _BEFORE_A_DIGEST[parts[at - 1]]
            return resource, "/".join(parts[: at - 1]), "/".join(parts[at:])
    return None


def _parse_last_part(resource: Resource, reference: str) -> Digest | str:
    match resource:
        case Resource.MANIFEST if not _LIKE_A_DIGEST.match(reference):
            return parse_tag(reference)
        case Resource.MANIFEST | Resource.BLOB | Resource.REFERRERS:
            return Digest.parse(reference)
    return reference
