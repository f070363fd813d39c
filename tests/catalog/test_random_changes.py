"""Random pushes, retags, deletions and mounts, by several at once: the facts stay consistent."""

from __future__ import annotations

import asyncio
import random

import pytest
from sqlalchemy import Connection, text

from registry_storage.catalog import Catalog, blobs, manifests, removal, repositories, tags
from registry_storage.errors import (
    ContentInUse,
    ManifestInvalid,
    NotFound,
    RepositoryExists,
    TagExists,
)
from tests.catalog.samples import HOUR, OTHER, REPOSITORY, TERMS, UPLOAD_TERMS, digest, link, record

REFUSALS = (NotFound, ContentInUse, ManifestInvalid, RepositoryExists, TagExists)
REPOSITORIES = (REPOSITORY, OTHER, "elsewhere/app")
BLOBS = ("a", "b", "c", "d")
CHANGES = 60

MUST_FIND_NOTHING = {
    "a stamp of a blob that does not agree with the manifests": """
        SELECT digest FROM repository_blobs held WHERE (unreferenced_since IS NULL) <> EXISTS (
            SELECT 1 FROM manifest_blobs
            WHERE repository_id = held.repository_id AND blob = held.digest)""",
    "a stamp of a manifest that does not agree with tags, indexes and subjects": """
        SELECT digest FROM manifests held WHERE (unreferenced_since IS NULL) <> (
            EXISTS (SELECT 1 FROM tags
                WHERE repository_id = held.repository_id AND digest = held.digest)
            OR EXISTS (SELECT 1 FROM manifest_children
                WHERE repository_id = held.repository_id AND child = held.digest)
            OR EXISTS (SELECT 1 FROM manifests
                WHERE repository_id = held.repository_id AND digest = held.subject))""",
    "a repository that is listed without a manifest, or not listed with one": """
        SELECT name FROM repositories WHERE (listed = (1 = 1)) <> EXISTS (
            SELECT 1 FROM manifests WHERE repository_id = repositories.id)""",
    "a name that leads elsewhere although it is taken": """
        SELECT name FROM redirects WHERE name IN (SELECT name FROM repositories)""",
    "a blob that no repository holds": """
        SELECT digest FROM blobs WHERE digest NOT IN (SELECT digest FROM repository_blobs)""",
    "a payload that no repository lists": """
        SELECT digest FROM manifest_payloads WHERE digest NOT IN (SELECT digest FROM manifests)""",
    "garbage that a row names": """
        SELECT location FROM garbage WHERE location IN (SELECT location FROM blobs)
            OR location IN (SELECT location FROM manifest_payloads)""",
    "a location that neither a row nor the garbage knows": """
        SELECT location FROM given_out WHERE location NOT IN (SELECT location FROM blobs)
            AND location NOT IN (SELECT location FROM manifest_payloads)
            AND location NOT IN (SELECT location FROM garbage)""",
}


class Client:
    """Makes random changes, each at fresh locations."""

    def __init__(self, catalog: Catalog, name: str, seed: int) -> None:
        self._catalog = catalog
        self._name = name
        self._random = random.Random(seed)
        self._locations = 0

    async def work(self) -> None:
        for _ in range(CHANGES):
            change = self._random.choice(
                [
                    *(self.push_blob, self.push) * 3,
                    *(self.delete_blob, self.delete, self.untag) * 2,
                    *(self.rename, self.delete_all),
                ]
            )
            try:
                await change()
            except REFUSALS:
                continue

    def _location(self, tx: Connection) -> str:
        self._locations += 1
        location = f"{self._name}-{self._locations}"
        tx.execute(text("INSERT INTO given_out VALUES (:location)"), {"location": location})
        return location

    def _repository(self) -> str:
        return self._random.choice(REPOSITORIES)

    async def push_blob(self) -> None:
        repository, name = self._repository(), self._random.choice(BLOBS)

        def store(tx: Connection) -> None:
            own = self._location(tx)
            if link(tx, name, repository, location=own).location != own:
                tx.execute(text("DELETE FROM given_out WHERE location = :own"), {"own": own})

        await self._catalog.write(store)

    async def push(self) -> None:
        repository, number = self._repository(), self._random.randrange(4)
        layers = self._random.sample(BLOBS, number)
        index = self._random.random() < 0.4
        children = (digest(f"image {self._random.randrange(4)}"),) if index else ()
        wanted = {
            "optional_children": children,
            "subject": digest("image 1") if number == 2 else None,
        }
        tagged = self._random.sample(["latest", "v1", "v2"], self._random.randrange(3))
        moves = self._random.random() < 0.8

        def store(tx: Connection) -> None:
            name = f"index {number}" if index else f"image {number}"
            image = record(name, [] if index else layers, location=self._location(tx), **wanted)
            manifests.put(tx, repository, image, tagged, may_move_tags=moves, **TERMS)

        await self._catalog.write(store)

    async def delete_blob(self) -> None:
        name = digest(self._random.choice(BLOBS))
        await self._catalog.write(blobs.delete, self._repository(), name, garbage_delay=HOUR)

    async def delete(self) -> None:
        name = self._random.choice(["image", "index"]) + f" {self._random.randrange(4)}"
        await self._catalog.write(manifests.delete, self._repository(), digest(name), **TERMS)

    async def rename(self) -> None:
        await self._catalog.write(repositories.rename, self._repository(), self._repository())

    async def delete_all(self) -> None:
        await self._catalog.write(removal.delete_repository, self._repository(), terms=UPLOAD_TERMS)

    async def untag(self) -> None:
        tag = self._random.choice(["latest", "v1", "v2"])
        await self._catalog.write(tags.delete, self._repository(), tag, lease=HOUR)


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_facts_agree_with_each_other(catalog: Catalog, seed: int) -> None:
    await catalog.write(
        lambda tx: tx.execute(text("CREATE TABLE given_out (location text)")).rowcount
    )
    other = await Catalog.open(catalog.url)
    clients = [
        Client(process, f"{seed}-{number}", 100 * seed + number)
        for number, process in enumerate((catalog, other, catalog, other))
    ]
    await asyncio.gather(*(client.work() for client in clients))
    for what, query in MUST_FIND_NOTHING.items():
        found = await catalog.read(lambda tx, query=query: tx.scalars(text(query)).all())
        assert found == [], what
    await other.close()
