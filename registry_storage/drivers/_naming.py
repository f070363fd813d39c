"""What the drivers share that say a blob's id and mark in a name: the patterns, and back again."""

from __future__ import annotations

import re
from typing import Final

from registry_storage.digest import ALGORITHMS, Digest
from registry_storage.drivers.api import BlobKind, Mark
from registry_storage.errors import DigestInvalid

ID: Final = r"(?P<id>[0-9a-f]{32})"
KIND: Final = rf"(?P<kind>{'|'.join(BlobKind)})"
ALGORITHM: Final = rf"(?P<algorithm>{'|'.join(ALGORITHMS)})"
HEX: Final = r"(?P<hex>[0-9a-f]+)"

_FLAT = re.compile(rf"{ID}(?:\.{KIND}\.{ALGORITHM}\.{HEX})?")


def flat_name(blob_id: str, mark: Mark | None) -> str:
    """`<id>`, or `<id>.<kind>.<algorithm>.<hex>` where the blob has been marked."""
    if mark is None:
        return blob_id
    return f"{blob_id}.{mark.kind}.{mark.digest.algorithm}.{mark.digest.hex}"


def parse_flat_name(name: str) -> tuple[str, Mark | None] | None:
    """The id and the mark that a flat name says, if it is one."""
    found = _FLAT.fullmatch(name)
    if not found:
        return None
    if found["kind"] is None:
        return found["id"], None
    mark = mark_in(found)
    return (found["id"], mark) if mark else None


def mark_in(found: re.Match[str]) -> Mark | None:
    """The mark in a match of `KIND`, `ALGORITHM` and `HEX`; None where that is no digest."""
    try:
        digest = Digest.parse(f"{found['algorithm']}:{found['hex']}")
    except DigestInvalid:
        return None
    return Mark(BlobKind(found["kind"]), digest)
