"""Names of what an upload consists of, while it is under way.  Pure.

    uploads/<blob id>.<begun>/
      begun                    empty: the upload is open
      <number>-<nonce>         a part, or parts that were joined

Whoever commits or aborts deletes `begun` first.  Whoever stores a part looks for `begun` after it,
and takes its part back where that is gone: so in the end nothing is left, whoever was faster.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from registry_storage.drivers._naming import ID
from registry_storage.drivers._object_layout import UPLOADS
from registry_storage.drivers.api import Handle, Part
from registry_storage.drivers.gcs.bucket import Stored
from registry_storage.errors import PartLost, UploadNotFound

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HANDLE = re.compile(rf"{ID}\.(?P<begun>[0-9]{{1,17}})")
_TOKEN = re.compile(r"(?P<name>[0-9]+-[0-9a-f]{16})@(?P<generation>[0-9]+)")


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload, as its handle names it."""

    blob_id: str
    begun: datetime

    @property
    def handle(self) -> Handle:
        """What the core knows of it."""
        return f"{self.blob_id}.{(self.begun - _EPOCH) // timedelta(microseconds=1)}"

    @property
    def prefix(self) -> str:
        """What the keys of all its objects begin with."""
        return f"{UPLOADS}{self.handle}/"

    @property
    def open_key(self) -> str:
        """The key that is there while the upload is open."""
        return f"{self.prefix}begun"

    def new_key(self, number: int) -> str:
        """A key for a part that no other part will ever have, not even the same one sent again."""
        return f"{self.prefix}{number}-{secrets.token_hex(8)}"

    def token(self, stored: Stored) -> str:
        """What a part remembers of its object: name and generation, so never other bytes."""
        return f"{stored.key.removeprefix(self.prefix)}@{stored.generation}"

    def sources(self, parts: Sequence[Part], there: Mapping[str, Stored]) -> list[Stored]:
        """The objects of the parts, out of those that are `there`.  Raises `PartLost`."""
        return [self._source(part, there) for part in parts]

    def _source(self, part: Part, there: Mapping[str, Stored]) -> Stored:
        token = _TOKEN.fullmatch(part.token)
        if token is None:
            raise PartLost(f"part {part.number} names no object of this store: {part.token!r}")
        found = there.get(self.prefix + token["name"])
        if found is None:
            raise PartLost(f"part {part.number} of the upload is gone")
        if found.generation != int(token["generation"]) or found.size != part.size:
            raise PartLost(f"part {part.number} of the upload was replaced by other bytes")
        return found


def parse_handle(handle: Handle) -> Upload:
    """The upload that `handle` names.  Raises `UploadNotFound`."""
    if upload := upload_of(handle):
        return upload
    raise UploadNotFound(f"{handle!r} is not an upload of this store")


def upload_of(handle: str) -> Upload | None:
    """The upload that `handle` names, if it names one."""
    found = _HANDLE.fullmatch(handle)
    if found is None:
        return None
    return Upload(found["id"], _EPOCH + timedelta(microseconds=int(found["begun"])))


async def uploads_below(folders: AsyncIterator[str]) -> AsyncIterator[Upload]:
    """The uploads among the folders below `uploads/`."""
    async for folder in folders:
        if upload := upload_of(folder.removeprefix(UPLOADS).rstrip("/")):
            yield upload
