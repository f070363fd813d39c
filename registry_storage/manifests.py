"""Reading manifests: what a pushed document is, and what it refers to.

Pure: nothing here asks whether a reference is in the store.  OCI images and indexes 1.1, Docker
schema 2 images and manifest lists are held to their specs; documents of other types are accepted
too, and their `config`, `layers`, `blobs`, `manifests` and `subject` are understood the same way,
so that what they name is kept.

The bytes are never rewritten: what was pushed is what is served.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from registry_storage import media_types
from registry_storage.digest import Digest
from registry_storage.errors import DigestInvalid, ManifestInvalid

MAX_DEPTH: Final = 32
MAX_ANNOTATIONS: Final = 64 * 1024
"""Characters, for manifests with a subject: a list of referrers repeats the annotations of each."""
_MAX_SIZE: Final = 2**63 - 1
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")

_FIELDS = frozenset(
    {
        *("schemaVersion", "mediaType", "artifactType", "config", "layers", "blobs", "manifests"),
        *("subject", "annotations", "digest", "size", "urls", "data", "platform"),
    }
)
_FIELDS_BY_FOLDED_NAME = {name.casefold(): name for name in _FIELDS}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of something that it refers to (OCI Image Spec 1.1, "Descriptor")."""

    digest: Digest
    size: int
    media_type: str
    platform: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ManifestRules:
    """What a store demands of manifests; the defaults demand everything."""

    check_references: bool = True
    """Whether blobs and children must be in the repository."""
    required_platforms: Sequence[tuple[str, str]] | None = None
    """(architecture, os) of the children that an index needs; None: all of them."""
    allowed_urls: re.Pattern[str] | None = None
    """What the `urls` of a descriptor must match; None: any http or https URL of a public host."""
    denied_urls: re.Pattern[str] | None = None
    max_references: int = 1000


@dataclass(frozen=True, slots=True)
class ParsedManifest:
    """A manifest, understood."""

    media_type: str
    blobs: tuple[Descriptor, ...] = ()
    """Config and layers, which the repository must hold."""
    optional_blobs: tuple[Descriptor, ...] = ()
    """Layers that may be absent: kept elsewhere, or carried in the descriptor's own `data`."""
    children: tuple[Descriptor, ...] = ()
    """Manifests of an index, which the repository must hold."""
    optional_children: tuple[Descriptor, ...] = ()
    """Manifests of an index that may be absent by the store's rules."""
    subject: Descriptor | None = None
    artifact_type: str | None = None
    """For the referrers list: the document's own, else the media type of its config."""
    annotations: Mapping[str, str] = field(default_factory=dict)


def parse_manifest(
    payload: bytes, content_type: str | None = None, rules: ManifestRules | None = None
) -> ParsedManifest:
    """Understand a manifest, or raise `ManifestInvalid` with what is wrong and where.

    `content_type` is what the client sent; its parameters are ignored.
    """
    rules = rules or ManifestRules()
    document = _load(payload)
    media_type = _media_type(document, content_type)
    _check_shape(document, media_type)
    subject = _optional_descriptor(document, "subject", rules)
    config = _optional_descriptor(document, "config", rules)
    annotations = _annotations(document, "manifest")
    if subject is not None:
        _check_listable(annotations)
    return ParsedManifest(
        media_type=media_type,
        **_blobs(document, config, rules),
        **_children(document, rules),
        subject=subject,
        artifact_type=_type_name(document, "artifactType")
        or (config.media_type if config else None),
        annotations=annotations,
    )


# The document


def _load(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_number,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"the manifest is not JSON: {_reason(error)}") from None
    if not isinstance(document, dict):
        raise ManifestInvalid("the manifest is not a JSON object")
    _check_depth(document)
    return document


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Parsers differ in which of two equal keys they believe, so one document could be two images.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found


def _refuse_number(text: str) -> None:
    raise ValueError(f"{text} is not a number that every parser reads alike")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refuse_number(text)
    return number


def _check_depth(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _containers_in(outer)]
        if not level:
            return
    raise ManifestInvalid(f"the manifest is nested more than {MAX_DEPTH} levels deep")


def _containers_in(value: Any) -> Iterator[Any]:
    items = value.values() if isinstance(value, dict) else value
    return (item for item in items if isinstance(item, dict | list))


def _check_spelling(found: Mapping[str, Any], where: str) -> None:
    """Refuse `Layers` for `layers`: some clients would read the one as the other."""
    for key in found:
        if _FIELDS_BY_FOLDED_NAME.get(key.casefold(), key) != key:
            raise ManifestInvalid(
                f"{where}: {key!r} must be spelled {_FIELDS_BY_FOLDED_NAME[key.casefold()]!r}"
            )


def _media_type(document: dict[str, Any], content_type: str | None) -> str:
    sent = media_types.without_parameters(content_type or "")
    written = _type_name(document, "mediaType")
    if sent and written and sent != written.lower():
        raise ManifestInvalid(f"mediaType is {written!r} but the Content-Type is {sent!r}")
    media_type = written or sent or _likely_media_type(document)
    if media_type in media_types.SCHEMA_1:
        raise ManifestInvalid(
            "schema 1 manifests are not supported; push with a current client, which sends schema 2"
        )
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise ManifestInvalid(f"{media_type[:255]!r} is not a media type")
    return media_type


def _likely_media_type(document: dict[str, Any]) -> str:
    if "manifests" in document:
        return media_types.OCI_INDEX
    return media_types.OCI_MANIFEST


def _check_shape(document: dict[str, Any], media_type: str) -> None:
    _check_spelling(document, "manifest")
    is_index = "manifests" in document
    if is_index and not document.keys().isdisjoint({"layers", "config", "blobs"}):
        raise ManifestInvalid(
            "a manifest has either 'manifests' or 'config' and 'layers', not both"
        )
    if media_type in media_types.IMAGES:
        _require(document, ("config", "layers"), media_type)
    elif media_type in media_types.INDEXES:
        _require(document, ("manifests",), media_type)


def _require(document: dict[str, Any], names: Sequence[str], media_type: str) -> None:
    version = document.get("schemaVersion")
    if version != 2 or isinstance(version, bool | float):
        raise ManifestInvalid("schemaVersion must be 2")
    missing = [name for name in names if document.get(name) is None]
    if missing:
        raise ManifestInvalid(f"a manifest of type {media_type} needs {' and '.join(missing)}")


# What it refers to


def _blobs(
    document: dict[str, Any], config: Descriptor | None, rules: ManifestRules
) -> dict[str, tuple[Descriptor, ...]]:
    required: list[Descriptor] = []
    optional: list[Descriptor] = []
    if config:
        (optional if _is_carried(document["config"]) else required).append(config)
    for name in ("layers", "blobs"):
        for where, raw in _items(document, name, rules):
            descriptor = _descriptor(raw, where, rules)
            elsewhere = media_types.is_kept_elsewhere(descriptor.media_type) or raw.get("urls")
            (optional if elsewhere or _is_carried(raw) else required).append(descriptor)
    if not rules.check_references:
        required, optional = [], required + optional
    return {"blobs": tuple(required), "optional_blobs": tuple(optional)}


def _children(document: dict[str, Any], rules: ManifestRules) -> dict[str, tuple[Descriptor, ...]]:
    required: list[Descriptor] = []
    optional: list[Descriptor] = []
    for where, raw in _items(document, "manifests", rules):
        child = _descriptor(raw, where, rules)
        (required if _is_required(child, rules) else optional).append(child)
    return {"children": tuple(required), "optional_children": tuple(optional)}


def _is_required(child: Descriptor, rules: ManifestRules) -> bool:
    if not rules.check_references or rules.required_platforms is None:
        return rules.check_references
    platform = child.platform or {}
    return (platform.get("architecture"), platform.get("os")) in rules.required_platforms


def _items(
    document: dict[str, Any], name: str, rules: ManifestRules
) -> Iterator[tuple[str, dict[str, Any]]]:
    items = document.get(name)
    if items is None:
        return
    if not isinstance(items, list):
        raise ManifestInvalid(f"{name} must be a list")
    if len(items) > rules.max_references:
        raise ManifestInvalid(
            f"{name} has {len(items)} entries; {rules.max_references} are allowed"
        )
    for index, item in enumerate(items):
        yield f"{name}[{index}]", item


def _optional_descriptor(
    document: dict[str, Any], name: str, rules: ManifestRules
) -> Descriptor | None:
    raw = document.get(name)
    return None if raw is None else _descriptor(raw, name, rules)


def _descriptor(raw: Any, where: str, rules: ManifestRules) -> Descriptor:
    if not isinstance(raw, dict):
        raise ManifestInvalid(f"{where} must be an object")
    _check_spelling(raw, where)
    media_type, size = raw.get("mediaType"), raw.get("size")
    if not isinstance(media_type, str) or not _PRINTABLE.fullmatch(media_type):
        raise ManifestInvalid(f"{where}.mediaType must be a media type")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        raise ManifestInvalid(f"{where}.size must be a number of bytes")
    descriptor = Descriptor(_digest(raw, where), size, media_type, _platform(raw, where))
    _check_urls(raw, where, rules)
    _check_data(raw, where, descriptor)
    _annotations(raw, where)
    return descriptor


def _digest(raw: dict[str, Any], where: str) -> Digest:
    digest = raw.get("digest")
    if not isinstance(digest, str):
        raise ManifestInvalid(f"{where}.digest must be a digest")
    try:
        return Digest.parse(digest)
    except DigestInvalid as error:
        raise ManifestInvalid(f"{where}.digest: {error}") from None


def _platform(raw: dict[str, Any], where: str) -> Mapping[str, Any] | None:
    platform = raw.get("platform")
    if platform is not None and not isinstance(platform, dict):
        raise ManifestInvalid(f"{where}.platform must be an object")
    return platform


def _check_urls(raw: dict[str, Any], where: str, rules: ManifestRules) -> None:
    urls = raw.get("urls")
    if urls is None:
        return
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ManifestInvalid(f"{where}.urls must be a list of URLs")
    for url in urls:
        allowed = rules.allowed_urls.search(url) if rules.allowed_urls else _is_public(url)
        if not allowed or (rules.denied_urls and rules.denied_urls.search(url)):
            raise ManifestInvalid(f"{where}.urls: {url[:200]!r} is not allowed here")


def _is_public(url: str) -> bool:
    """Whether anybody could fetch it: not a file, nor a host inside somebody's network."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or host.endswith("localhost"):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        # "127.1" and "2130706433" are addresses to some resolvers, and names end in a letter.
        return host.rstrip(".")[-1:].isalpha()


def _check_data(raw: dict[str, Any], where: str, descriptor: Descriptor) -> None:
    data = raw.get("data")
    if data is None:
        return
    try:
        content = base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ManifestInvalid(f"{where}.data must be base64") from None
    if len(content) != descriptor.size:
        raise ManifestInvalid(f"{where}.data has {len(content)} bytes, not {descriptor.size}")
    if Digest.of(content, descriptor.digest.algorithm) != descriptor.digest:
        raise ManifestInvalid(f"{where}.data does not have the digest {descriptor.digest}")


def _is_carried(raw: dict[str, Any]) -> bool:
    return raw.get("data") is not None


def _annotations(raw: dict[str, Any], where: str) -> Mapping[str, str]:
    annotations = raw.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict) or not all(
        isinstance(value, str) for value in annotations.values()
    ):
        raise ManifestInvalid(f"{where}: annotations must map text to text")
    return annotations


def _check_listable(annotations: Mapping[str, str]) -> None:
    if sum(len(key) + len(value) for key, value in annotations.items()) > MAX_ANNOTATIONS:
        raise ManifestInvalid(
            f"the annotations of a manifest with a subject are longer than {MAX_ANNOTATIONS} "
            "characters"
        )


def _type_name(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        raise ManifestInvalid(f"{name} must be a media type")
    return value
