"""What names a manifest as its subject (OCI Distribution Spec 1.1, "Listing Referrers")."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final

from registry_server.api.calls import Call
from registry_server.api.pages import json_reply, link_to_next, requested_page
from registry_server.api.replies import Header, Reply
from registry_server.api.requests import single
from registry_storage.media_types import OCI_INDEX
from registry_storage.values import Referrer

MAX_PAGE_BYTES: Final = 3 * 1024 * 1024
"""Clients read an index of at most 4 MiB."""


async def list_referrers(call: Call) -> Reply:
    """An image index of their descriptors: empty, never absent, where there is none."""
    parameters = call.parameters()
    page = requested_page(parameters, call.context.settings.tags.maxtags)
    artifact_type = single(parameters, "artifactType") or None
    found = await call.repository.referrers(
        call.digest, artifact_type=artifact_type, after=page.after, limit=page.size + 1
    )
    if not found and (moved := await call.moved()):
        return await list_referrers(moved)
    descriptors = _fitting([_descriptor(referrer) for referrer in found[: page.size]])
    headers: list[Header] = []
    others = {}
    if artifact_type is not None:
        headers.append(("OCI-Filters-Applied", "artifactType"))
        others["artifactType"] = artifact_type
    if descriptors and len(descriptors) < len(found):
        path = f"/v2/{call.target.name}/referrers/{call.digest}"
        headers.append(link_to_next(call, path, page, descriptors[-1]["digest"], **others))
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
    return json_reply(document, *headers, media_type=OCI_INDEX)


def _descriptor(referrer: Referrer) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": referrer.media_type,
        "digest": referrer.digest,
        "size": referrer.size,
    }
    if referrer.artifact_type is not None:
        descriptor["artifactType"] = referrer.artifact_type
    if referrer.annotations:
        descriptor["annotations"] = dict(referrer.annotations)
    return descriptor


def _fitting(descriptors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many as a page may have bytes for, but at least one."""
    sizes: Iterable[int] = accumulate(len(json.dumps(each)) for each in descriptors)
    count = sum(size <= MAX_PAGE_BYTES for size in sizes)
    return descriptors[: max(count, 1)]
