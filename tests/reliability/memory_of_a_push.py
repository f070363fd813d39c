"""A process that pushes blobs out of thin air, and says how much memory that took.

    python -m tests.reliability.memory_of_a_push files|parts ROOT MIB CLIENTS

Prints by how many KiB the largest resident set grew over that of the open store.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import AsyncIterator

from registry_storage.catalog import Catalog
from registry_storage.digest import Digest
from registry_storage.drivers.api import Driver, Handle, KiB, MiB, Part, PartData, PartLimits
from registry_storage.drivers.memory import MemoryDriver
from registry_storage.hashing import new_hasher
from registry_storage.plugins import open_driver
from registry_storage.policy import StorePolicy
from registry_storage.uploads import Uploads

PIECE = bytes(range(256)) * KiB


class ForgetfulDriver(MemoryDriver):
    """Wants parts in memory, as an object store does, and keeps none of them."""

    async def put_part(
        self, handle: Handle, number: int, offset: int, data: PartData, size: int | None
    ) -> Part:
        await asyncio.sleep(0.01)
        received = sum([len(piece) async for piece in data])
        part = await super().put_part(handle, number, offset, _nothing(), 0)
        return Part(part.number, offset, received, part.token)


async def _nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


async def pieces(mib: int) -> AsyncIterator[bytes]:
    """A body as the network brings it: each piece is memory of its own."""
    for _ in range(4 * mib):
        yield bytes(memoryview(PIECE))
        await asyncio.sleep(0)


def digest_of(mib: int) -> Digest:
    hasher = new_hasher("sha256")
    for _ in range(4 * mib):
        hasher.update(PIECE)
    return hasher.digest()


def made(kind: str, root: str) -> Driver:
    if kind == "files":
        return open_driver("filesystem", {"rootdirectory": root})
    return ForgetfulDriver(limits=PartLimits(min_size=5 * MiB, max_parts=10_000, needs_size=True))


async def main(kind: str, root: str, mib: int, clients: int) -> None:
    driver = made(kind, root)
    await driver.start()
    catalog = await Catalog.open(f"sqlite:///{root}/catalog.sqlite")
    uploads = Uploads(driver, catalog, StorePolicy())
    digest = digest_of(mib)

    async def push(name: str, warm: bool = False) -> None:
        upload = (await uploads.begin("team/app", name, "sha256")).id
        length = 1 if warm else mib
        expected = digest_of(1) if warm else digest
        await uploads.finish("team/app", upload, name, expected, pieces(length))

    await push("warm", warm=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await asyncio.gather(*(push(str(client)) for client in range(clients)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    await uploads.close()
    await catalog.close()
    await driver.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
