"""Turns a complete session into a blob that its repository may serve.

    digest known      commit with the mark ─────────────────────────────► row and link
    digest not known  commit without ──► note where ──► read and hash ──► mark ──► row and link

Each step can be repeated, by another process too: whoever sends the PUT again takes it over.
"""

from __future__ import annotations

from contextlib import suppress

from registry_storage.catalog import Catalog, upload_ends
from registry_storage.catalog.blobs import BlobRow
from registry_storage.catalog.upload_ends import Abandoned, Claim
from registry_storage.digest import Digest
from registry_storage.drivers.api import BlobKind, Driver, Mark
from registry_storage.errors import (
    BlobNotFound,
    DigestInvalid,
    QuotaExceeded,
    RegistryError,
    UploadConflict,
    UploadUnknown,
)
from registry_storage.hashing import new_hasher
from registry_storage.uploads.context import UploadContext
from registry_storage.uploads.intake import HashingAside


class Publishing:
    """Publishes what requests have claimed, and drops what cannot be published."""

    def __init__(self, context: UploadContext) -> None:
        self._context = context

    async def publish(self, claim: Claim, actor: str) -> BlobRow:
        """Publish, mark and link a claimed session.

        Raises `DigestInvalid` and `QuotaExceeded` (the session is gone then), `UploadUnknown`, and
        the driver's errors.
        """
        location = await self._publish_bytes(claim)
        try:
            return await self._context.catalog.write(
                upload_ends.complete, claim, location, actor=actor, terms=self._context.terms
            )
        except (UploadUnknown, UploadConflict):
            # Over: linked by another request, which holds the same location, or aborted.
            self._context.discard(location, claim.id)
            raise
        except QuotaExceeded:
            # The blob stays refused, so the session has nothing to wait for.
            await self.drop(claim.id, claim.version)
            self._context.discard(location, claim.id)
            raise

    async def drop(self, upload_id: str, version: int) -> None:
        """End a session and free what it holds; what fails is left to the janitor.

        Raises `UploadUnknown`, `UploadConflict`.
        """
        abandoned = await self._context.catalog.write(
            upload_ends.abort, upload_id, version, terms=self._context.terms
        )
        if abandoned is not None:
            with suppress(RegistryError):
                await forget_upload(self._context.driver, self._context.catalog, abandoned)

    async def _publish_bytes(self, claim: Claim) -> str:
        """Where the blob lies, published and marked."""
        driver = self._context.driver
        mark = Mark(BlobKind.BLOB, claim.digest)
        if claim.checked and claim.location is None:
            assert claim.handle is not None, "a claim has parts or lies somewhere"
            return (await driver.commit_upload(claim.handle, claim.parts, mark)).location
        location = claim.location or await self._publish_unmarked(claim)
        if not claim.checked:
            await self._check(claim, location)
        return (await driver.mark_blob(location, mark)).location

    async def _publish_unmarked(self, claim: Claim) -> str:
        assert claim.handle is not None, "a claim has parts or lies somewhere"
        stored = await self._context.driver.commit_upload(claim.handle, claim.parts, None)
        await self._context.catalog.write(upload_ends.remember_location, claim, stored.location)
        return stored.location

    async def _check(self, claim: Claim, location: str) -> None:
        try:
            digest = await self._hash(location, claim.digest.algorithm)
        except BlobNotFound:
            return  # moved: another request has checked it, and marked it for this digest
        if digest != claim.digest:
            await self.drop(claim.id, claim.version)
            raise wrong_digest(claim.digest, digest)

    async def _hash(self, location: str, algorithm: str) -> Digest:
        hashing = HashingAside(new_hasher(algorithm), self._context.hashing)
        async with self._context.driver.read_blob(location) as pieces:
            async for piece in pieces:
                await hashing.add(piece)
        return (await hashing.settled()).digest()


async def forget_upload(driver: Driver, catalog: Catalog, abandoned: Abandoned) -> None:
    """Have the driver forget an aborted session's parts, then the catalog the session."""
    if abandoned.handle is not None:
        await driver.abort_upload(abandoned.handle)
    await catalog.write(upload_ends.forget, abandoned.id)


def wrong_digest(announced: Digest, found: Digest) -> DigestInvalid:
    """The bytes are not those that the client announced."""
    return DigestInvalid(f"the bytes have digest {found}, not {announced}; push them again")
