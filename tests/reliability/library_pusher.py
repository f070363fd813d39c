"""A process that pushes to one store until it is killed, and says what was acknowledged.

    python -m tests.reliability.library_pusher ROOT SEED

Each line of its output is a fact that the library has acknowledged, written as soon as it is one:

    held UPLOAD BYTES OF     the session of a blob of OF bytes holds so many
    blob DIGEST SIZE         the repository holds the blob

The bytes of a blob follow from its upload's id, so whoever reads the lines can go on with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
from collections.abc import AsyncIterator

from registry_storage import Registry
from registry_storage.digest import Digest
from registry_storage.repository import Repository

REPOSITORY = "team/app"
SIZES = (100, 40_000, 200_000, 3_000_000)


def content(upload: str, size: int) -> bytes:
    """The bytes of the blob that an upload is for."""
    return hashlib.shake_128(upload.encode()).digest(size)


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """A body in pieces."""
    for start in range(0, len(data), 65_536):
        yield data[start : start + 65_536]


async def push(repository: Repository, chance: random.Random) -> None:
    """Push one blob in chunks of any size."""
    size = chance.choice(SIZES)
    upload = (await repository.begin_upload()).id
    data = content(upload, size)
    offset = 0
    while offset < size and chance.random() < 0.7:
        chunk = data[offset : offset + chance.randint(1, size)]
        offset = (await repository.append_upload(upload, pieces(chunk), start=offset)).offset
        print("held", upload, offset, size, flush=True)
    digest = Digest.of(data, chance.choice(["sha256", "sha256", "sha512"]))
    await repository.finish_upload(upload, digest, pieces(data[offset:]), start=offset)
    print("blob", digest, size, flush=True)


async def main(root: str, seed: int) -> None:
    """Four pushes at a time, for ever."""
    chance = random.Random(seed)
    async with await Registry.open("filesystem", {"rootdirectory": root}) as registry:
        repository = registry.repository(REPOSITORY)
        print("ready", flush=True)

        async def client() -> None:
            while True:
                await push(repository, chance)

        await asyncio.gather(*(client() for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
