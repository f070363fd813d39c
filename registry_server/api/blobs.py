"""Blobs (OCI Distribution Spec 1.1, "Pulling blobs", "Deleting Blobs"): whole or in ranges."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from registry_server.api.calls import Call
from registry_server.api.conditions import is_known, range_applies
from registry_server.api.content import BlobContent, RangesContent
from registry_server.api.errors import Problem
from registry_server.api.ranges import ByteRange, Unsatisfiable, multipart, parse_range
from registry_server.api.redirects import is_sent_away
from registry_server.api.replies import Header, Reply
from registry_storage.values import BlobInfo

URL_VALID_FOR: Final = 300.0
"""Seconds."""
MEDIA_TYPE: Final = "application/octet-stream"

_DOWNLOAD: Final = ("Content-Disposition", "attachment")
"""A blob is whatever somebody pushed; no browser is to show it in the registry's name."""


async def head_blob(call: Call) -> Reply:
    """Says what a GET of the whole would; and the blob stays for a lease."""
    blob = await call.repository.promise_blob(call.digest)
    if _has_it(call):
        return Reply(304, _headers(call))
    return _whole(call, blob)


async def get_blob(call: Call) -> Reply:
    """All of it, one range, or many; from the store itself where that serves clients."""
    repository = call.repository
    blob = await repository.blob(call.digest)
    if _has_it(call):
        return Reply(304, _headers(call))
    ranges = _requested_ranges(call, blob)
    if not ranges and (data := await repository.small_blob(blob)) is not None:
        return Reply(200, _headers(call, ("Content-Type", MEDIA_TYPE)), data)
    rules, agent = (
        call.context.settings.storage.redirect,
        call.request.headers.get("User-Agent", ""),
    )
    if is_sent_away(rules, agent, call.request.remote):
        url = await repository.blob_url(blob, URL_VALID_FOR)
        if url is not None:
            return Reply(307, (("Location", url),))
    match ranges:
        case []:
            return _whole(call, blob)
        case [part]:
            return _one_range(call, blob, part)
    return _several_ranges(call, blob, ranges)


async def delete_blob(call: Call) -> Reply:
    """From this repository; other repositories keep theirs."""
    await call.repository.delete_blob(call.digest, actor=call.actor)
    return Reply(202)


def _has_it(call: Call) -> bool:
    known = call.request.headers.get("If-None-Match")
    return known is not None and is_known(call.digest, known)


def _requested_ranges(call: Call, blob: BlobInfo) -> Sequence[ByteRange]:
    headers = call.request.headers
    wanted = headers.get("Range")
    if wanted is None or not range_applies(blob.digest, headers.get("If-Range")):
        return []
    try:
        return parse_range(wanted, blob.size)
    except Unsatisfiable:
        raise Problem(
            416,
            "SIZE_INVALID",
            f"the blob has {blob.size} bytes, none of which is in the range",
            headers=[("Content-Range", f"bytes */{blob.size}")],
        ) from None


def _headers(call: Call, *others: Header) -> tuple[Header, ...]:
    visibility = "public" if call.context.access.is_open else "private"
    return (
        ("Docker-Content-Digest", call.digest),
        ("ETag", f'"{call.digest}"'),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", f"{visibility}, max-age=31536000, immutable"),
        _DOWNLOAD,
        *others,
    )


def _whole(call: Call, blob: BlobInfo) -> Reply:
    headers = _headers(call, ("Content-Type", MEDIA_TYPE))
    return Reply(200, headers, BlobContent(call.repository, blob, ByteRange(0, blob.size)))


def _one_range(call: Call, blob: BlobInfo, part: ByteRange) -> Reply:
    headers = _headers(
        call, ("Content-Type", MEDIA_TYPE), ("Content-Range", part.content_range(blob.size))
    )
    return Reply(206, headers, BlobContent(call.repository, blob, part))


def _several_ranges(call: Call, blob: BlobInfo, ranges: Sequence[ByteRange]) -> Reply:
    boundary = os.urandom(16).hex()
    layout = multipart(ranges, blob.size, MEDIA_TYPE, boundary)
    headers = _headers(call, ("Content-Type", f"multipart/byteranges; boundary={boundary}"))
    return Reply(206, headers, RangesContent(call.repository, blob, layout))
