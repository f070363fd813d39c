"""Repositories, as far as both the catalog and the hub know them.

What was given on a repository goes with its name.  It is moved or taken away before the catalog is
asked, and given back if the catalog refuses: whatever comes in between, nobody may do more.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection

from registry_server.hub.errors import Conflict, Taken, Unknown
from registry_server.hub.organisations.grants import split
from registry_server.hub.records import grants, namespaces
from registry_server.hub.records.audit import By
from registry_server.hub.records.grants import Kept
from registry_server.hub.rights import Sight
from registry_storage import Actor, Registry, RepositoryFacts, Visibility
from registry_storage.databases import Database
from registry_storage.errors import RegistryError, RepositoryExists, RepositoryUnknown
from registry_storage.names import namespace_of, parse_repository_name


class Repositories:
    """Changes of repositories, each told to the audit log through the catalog's events."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    async def browse(
        self, sight: Sight, *, namespace: str | None, after: str, limit: int
    ) -> list[RepositoryFacts]:
        """Those above `after`, in that namespace if one is given, that somebody sees."""
        start = f"{namespace}/" if namespace else ""
        shown: list[RepositoryFacts] = []
        after = max(after, start)
        while len(shown) < limit:
            page = await self._page(sight, after, limit)
            within = [facts for facts in page if facts.name.startswith(start)]
            shown += [facts for facts in within if sight.shows(facts.name, facts.visibility)]
            if len(within) < limit:
                break
            after = page[-1].name
        return shown[:limit]

    async def _page(self, sight: Sight, after: str, limit: int) -> list[RepositoryFacts]:
        return await self._registry.browse(
            public=True,
            namespaces=sight.namespaces,
            names=sight.names,
            everything=sight.everything,
            after=after,
            limit=limit,
        )

    async def facts(self, name: str) -> RepositoryFacts:
        """What is known of one.  Raises `RepositoryUnknown`."""
        found = await self._registry.facts(name)
        if found is None:
            raise RepositoryUnknown(f"there is no repository {name}")
        return found

    async def ensure(self, by: By, name: str, visibility: Visibility | None) -> None:
        """Make an empty one, unless there is one; None: as visible as its namespace says.

        Raises `QuotaExceeded`, and `Unknown` where the namespace is nobody's.
        """
        await self._refuse_ownerless(name)
        with suppress(RepositoryExists):
            await self._registry.create_repository(name, visibility=visibility, actor=actor_of(by))

    async def set_visibility(self, by: By, name: str, visibility: Visibility) -> None:
        """Make it public or private.  Raises `RepositoryUnknown`."""
        await self._registry.set_visibility(name, visibility, actor=actor_of(by))

    async def rename(self, by: By, old: str, new: str) -> None:
        """Give it another name; what was given on it stays within one namespace, else it goes.

        Raises `NameInvalid`, `RepositoryUnknown`, `RepositoryExists`, `QuotaExceeded`, `Unknown`.
        """
        await self.facts(old)
        await self._refuse_taken(parse_repository_name(new))
        kept = await self._database.write(_move_grants, old, new)
        try:
            await self._registry.rename(old, new, actor=actor_of(by))
        except RegistryError:
            await self._database.write(_move_back, old, new, kept)
            raise

    async def delete(self, by: By, name: str) -> None:
        """Delete it with all that it holds.  Raises `RepositoryUnknown`."""
        await self.facts(name)
        kept = await self._database.write(grants.clear, *split(name))
        try:
            await self._registry.delete_repository(name, actor=actor_of(by))
        except RegistryError:
            await self._database.write(grants.restore, kept)
            raise

    async def refuse_inhabited(self, namespace: str) -> None:
        """Raise `Conflict` where repositories lie in the namespace."""
        if await self._registry.browse(namespaces=(namespace,), limit=1):
            raise Conflict(f"there are repositories in {namespace}: delete or transfer them first")

    async def refuse_heir(self, name: str) -> None:
        """Raise `Taken` where repositories of somebody before lie in the namespace of that name.

        Who chooses a name for themselves must not get them; they are told no more than that.
        """
        if await self._registry.browse(namespaces=(name,), limit=1):
            raise Taken(f"the name {name} is taken; choose another")

    async def _refuse_taken(self, name: str) -> None:
        if await self._registry.visibility(name) is not None:
            raise RepositoryExists(f"there is a repository {name} already")
        await self._refuse_ownerless(name)

    async def _refuse_ownerless(self, name: str) -> None:
        namespace = namespace_of(name)
        if namespace and await self._database.read(namespaces.find, namespace) is None:
            raise Unknown(f"there is no user or organisation {namespace}")


def actor_of(by: By) -> Actor:
    """Whoever does something, as the catalog's events tell of them."""
    return Actor(by.actor, by.origin)


def _move_grants(tx: Connection, old: str, new: str) -> list[Kept]:
    """Let them follow the repository, or take them where it leaves the namespace: those taken."""
    (namespace, within), (target, to) = split(old), split(new)
    if namespace != target:
        return grants.clear(tx, namespace, within)
    grants.move(tx, namespace, within, to)
    return []


def _move_back(tx: Connection, old: str, new: str, kept: list[Kept]) -> None:
    (namespace, within), (target, to) = split(old), split(new)
    if namespace == target:
        grants.move(tx, namespace, to, within)
    grants.restore(tx, kept)
