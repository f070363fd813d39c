"""Uploads (OCI Distribution Spec 1.1, "Pushing blobs"): whole, streamed, in chunks, or mounted.

`Range` and `Content-Range` here have no unit: `0-99` stands for the first hundred bytes.  An upload
that holds nothing says `0-0`, as clients expect.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from registry_server.api.body import Body, has_body
from registry_server.api.calls import Call, required_digest
from registry_server.api.errors import reply_to_error
from registry_server.api.replies import Header, Reply
from registry_server.api.requests import single
from registry_storage.digest import Digest, parse_algorithm
from registry_storage.errors import RegistryError, UploadConflict, UploadUnknown
from registry_storage.names import is_repository_name
from registry_storage.values import UploadStatus

_ID = re.compile(r"[0-9a-f]{32}")
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:\*|([0-9]{1,18})))?")
_EMPTY: Final = {Digest.of(b"", algorithm) for algorithm in ("sha256", "sha512")}


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Where the client says that its bytes belong, where it says so."""

    start: int | None
    size: int | None


async def post_upload(call: Call) -> Reply:
    """Begin an upload; with `mount=` link what is there instead, with `digest=` do all at once."""
    parameters = call.parameters()
    if "mount" in parameters:
        digest = required_digest(parameters, "mount")
        if await _mounted(call, digest, single(parameters, "from")):
            return _created(call, digest)
    elif "digest" in parameters:
        digest = required_digest(parameters)
        if has_body(call.request) or digest in _EMPTY:
            return await _put_whole(call, digest)
    announced = single(parameters, "digest-algorithm")
    algorithm = "sha256" if announced is None else parse_algorithm(announced)
    status = await call.repository.begin_upload(subject=call.actor, algorithm=algorithm)
    return Reply(202, _headers(call, status.id, status.offset, status.min_chunk_size))


async def _mounted(call: Call, digest: Digest, source: str | None) -> bool:
    """Whether the blob is in the target now, from `source`, or from wherever it may be read.

    A source that may not be read, or cannot be, is answered as one that lacks the blob.
    """
    holders = await call.context.registry.holders(digest) if source is None else [source]
    for name in holders:
        if is_repository_name(name) and call.may_pull(name):
            return await call.repository.mount_blob(digest, name, actor=call.actor) is not None
    return False


async def _put_whole(call: Call, digest: Digest) -> Reply:
    body = call.body()
    subject = call.actor
    begun = await call.repository.begin_upload(subject=subject, algorithm=digest.algorithm)
    try:
        await call.repository.finish_upload(
            begun.id, digest, body, subject=subject, size=body.announced
        )
    except Exception:
        # Nobody was told of this session, so nobody can go on with it.
        with suppress(RegistryError):
            await call.repository.cancel_upload(begun.id, subject=subject)
        raise
    return _created(call, digest)


async def get_upload(call: Call) -> Reply:
    return Reply(204, await _status_headers(call))


async def patch_upload(call: Call) -> Reply:
    """Add a chunk; `Range` in the answer says what the upload holds in all."""
    upload_id, body = _upload_id(call), call.body()
    try:
        chunk = await _announced_chunk(call, body)
        status = await call.repository.append_upload(
            upload_id, body, subject=call.actor, start=chunk.start, size=chunk.size
        )
    except UploadConflict as conflict:
        return _conflict(call, conflict)
    body.raise_interruption()
    return Reply(202, _headers(call, status.id, status.offset))


async def put_upload(call: Call) -> Reply:
    """The last chunk, which may be empty, and the digest of it all."""
    upload_id, body = _upload_id(call), call.body()
    digest = required_digest(call.parameters())
    try:
        chunk = await _announced_chunk(call, body)
        await call.repository.finish_upload(
            upload_id,
            digest,
            body,
            subject=call.actor,
            start=chunk.start,
            size=chunk.size,
        )
    except UploadConflict as conflict:
        return _conflict(call, conflict)
    body.raise_interruption()
    return _created(call, digest)


async def delete_upload(call: Call) -> Reply:
    await call.repository.cancel_upload(_upload_id(call), subject=call.actor)
    return Reply(204)


def _upload_id(call: Call) -> str:
    upload_id = call.target.reference
    if not _ID.fullmatch(upload_id):
        raise UploadUnknown("there is no such upload")
    return upload_id


async def _announced_chunk(call: Call, body: Body) -> _Chunk:
    """What `Content-Range` and `Content-Length` say.  Raises `UploadConflict` if they disagree."""
    header = call.request.headers.get("Content-Range")
    if header is None:
        return _Chunk(None, body.announced)
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found is None:
        raise await _contradiction(call, "Content-Range is not of the form 0-99")
    start, size = int(found[1]), int(found[2]) - int(found[1]) + 1
    if size < 1:
        raise await _contradiction(call, f"Content-Range {header} ends before it begins")
    if found[3] and int(found[3]) < start + size:
        raise await _contradiction(call, f"Content-Range {header} goes beyond its own total")
    if body.announced not in (None, size):
        message = f"Content-Range {header} has {size} bytes, Content-Length {body.announced}"
        raise await _contradiction(call, message)
    return _Chunk(start, size)


async def _contradiction(call: Call, message: str) -> UploadConflict:
    status = await _status(call)
    return UploadConflict(status.offset, message)


async def _status(call: Call) -> UploadStatus:
    return await call.repository.upload(_upload_id(call), subject=call.actor)


async def _status_headers(call: Call) -> tuple[Header, ...]:
    status = await _status(call)
    return _headers(call, status.id, status.offset, status.min_chunk_size)


def _headers(
    call: Call, upload_id: str, offset: int, min_chunk_size: int | None = None
) -> tuple[Header, ...]:
    headers = (
        ("Location", call.url("blobs", "uploads", upload_id)),
        ("Docker-Upload-UUID", upload_id),
        ("Range", f"0-{max(offset - 1, 0)}"),
    )
    if min_chunk_size is None:
        return headers
    return (*headers, ("OCI-Chunk-Min-Length", str(min_chunk_size)))


def _conflict(call: Call, conflict: UploadConflict) -> Reply:
    return reply_to_error(conflict, _headers(call, _upload_id(call), conflict.offset))


def _created(call: Call, digest: Digest) -> Reply:
    headers = (("Location", call.url("blobs", digest)), ("Docker-Content-Digest", digest))
    return Reply(201, headers)
