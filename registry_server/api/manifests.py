"""Manifests and tags (OCI Distribution Spec 1.1: "Pulling", "Pushing", "Deleting Manifests").

Manifests are answered, and kept, byte for byte as they came.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from registry_server.api.calls import Call
from registry_server.api.conditions import accepts, is_known
from registry_server.api.errors import Problem
from registry_server.api.replies import Header, Reply, warning
from registry_storage import media_types
from registry_storage.digest import Digest
from registry_storage.names import parse_tag
from registry_storage.values import Manifest, PushedManifest

MAX_SIZE = 4 * 1024 * 1024
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")


async def get_manifest(call: Call) -> Reply:
    manifest = await call.repository.manifest(call.target.reference)
    if call.context.pulls is not None:
        call.context.pulls.charge(call.request.remote, call.subject.name)
    call.repository.count_pull(call.target.reference)
    return _reply(call, manifest)


async def head_manifest(call: Call) -> Reply:
    """As GET; and what it says is here stays for a lease."""
    return _reply(call, await call.repository.promise_manifest(call.target.reference))


def _reply(call: Call, manifest: Manifest) -> Reply:
    digest = manifest.digest
    named: tuple[Header, ...] = (
        ("Content-Type", manifest.media_type),
        ("Docker-Content-Digest", digest),
        ("ETag", f'"{digest}"'),
    )
    accepted = call.request.headers.get("Accept")
    if accepted is not None and not accepts(accepted, manifest.media_type):
        named += (warning(f"the manifest is of type {manifest.media_type}, as it was pushed"),)
    known = call.request.headers.get("If-None-Match")
    if known is not None and is_known(digest, known):
        return Reply(304, named)
    return Reply(200, named, manifest.payload)


async def put_manifest(call: Call) -> Reply:
    """By tag, or by digest with any number of `?tag=` (spec, main branch)."""
    payload = await call.body().read(MAX_SIZE)
    extra_tags = [parse_tag(tag) for tag in call.parameters().get("tag", [])]
    digest, tags = _destination(call.target.reference, extra_tags)
    pushed = await call.repository.put_manifest(
        payload,
        _media_type(call),
        digest=digest,
        tags=tags,
        may_move_tags=call.decision is None or call.decision.may_move_tags,
        actor=call.actor,
    )
    return _created(call, pushed, extra_tags)


def _destination(
    reference: Digest | str, extra_tags: Sequence[str]
) -> tuple[Digest | None, Sequence[str]]:
    """The digest that the manifest must have, if one was given, and the tags it gets."""
    if isinstance(reference, Digest):
        return reference, extra_tags
    return None, [reference, *extra_tags]


def _media_type(call: Call) -> str | None:
    value = call.request.headers.get("Content-Type", "").partition(";")[0].strip()
    if not value:
        return None
    if not _MEDIA_TYPE.fullmatch(value):
        raise Problem(400, "MANIFEST_INVALID", "Content-Type is not a media type")
    return value


def _created(call: Call, pushed: PushedManifest, extra_tags: list[str]) -> Reply:
    headers: list[Header] = [
        ("Location", call.url("manifests", pushed.digest)),
        ("Docker-Content-Digest", pushed.digest),
    ]
    if pushed.subject is not None:
        headers.append(("OCI-Subject", pushed.subject))
    if pushed.media_type == media_types.OCI_ARTIFACT:
        headers.append(warning("this type was withdrawn; push an image manifest with artifactType"))
    headers += [("OCI-Tag", tag) for tag in dict.fromkeys(extra_tags)]
    return Reply(201, tuple(headers))


async def delete_manifest(call: Call) -> Reply:
    """By digest the manifest with its tags; by tag the tag alone."""
    reference = call.target.reference
    if isinstance(reference, Digest):
        await call.repository.delete_manifest(reference, actor=call.actor)
    else:
        await call.repository.delete_tag(reference, actor=call.actor)
    return Reply(202)
