"""A store that may be read and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from registry_storage.drivers.api import Buffers, Handle, Mark, Part, PartData, StoredBlob
from registry_storage.drivers.wrappers.base import DelegatingDriver
from registry_storage.errors import ReadOnlyStore


class ReadOnlyDriver(DelegatingDriver):
    """Raises `ReadOnlyStore` for whatever would change the store."""

    async def put_blob(self, blob_id: str, data: Buffers, mark: Mark | None) -> StoredBlob:
        self._refuse("storing a blob")

    async def mark_blob(self, location: str, mark: Mark) -> StoredBlob:
        self._refuse("marking a blob")

    async def delete_blobs(self, locations: Sequence[str]) -> None:
        self._refuse("deleting blobs")

    async def begin_upload(self, blob_id: str) -> Handle:
        self._refuse("beginning an upload")

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        self._refuse("storing a part")

    async def commit_upload(
        self, handle: Handle, parts: Sequence[Part], mark: Mark | None
    ) -> StoredBlob:
        self._refuse("publishing an upload")

    async def abort_upload(self, handle: Handle) -> None:
        self._refuse("aborting an upload")

    def _refuse(self, what: str) -> NoReturn:
        raise ReadOnlyStore(f"the {self.name} store is read-only: {what} is refused")
