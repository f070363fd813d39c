"""Namespaces: who has them, how their repositories begin, and what they may hold."""

from __future__ import annotations

from dataclasses import dataclass

from registry_server.hub.errors import Unknown
from registry_server.hub.organisations.repositories import actor_of
from registry_server.hub.records import namespaces
from registry_server.hub.records.audit import By
from registry_server.hub.records.namespaces import NamespaceRow
from registry_storage import Namespace, Registry, Usage, Visibility
from registry_storage.databases import Database


@dataclass(frozen=True, slots=True)
class Space:
    """A namespace, as both the hub and the catalog know it."""

    owner: NamespaceRow
    settings: Namespace
    usage: Usage


class Spaces:
    """Looks at namespaces, and changes what the catalog enforces in them."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    async def find(self, name: str) -> Space:
        """Raises `Unknown`."""
        owner = await self._owner(name)
        return Space(owner, await self._registry.namespace(name), await self._registry.usage(name))

    async def set_default_visibility(self, by: By, name: str, visibility: Visibility) -> None:
        """How repositories begin that are made from now on.  Raises `Unknown`."""
        await self._owner(name)
        await self._registry.set_default_visibility(name, visibility, actor=actor_of(by))

    async def set_quota(
        self, by: By, name: str, *, max_bytes: int | None, max_repositories: int | None
    ) -> None:
        """What it may hold from now on; None: no limit.  Raises `Unknown`."""
        await self._owner(name)
        await self._registry.set_quota(
            name, max_bytes=max_bytes, max_repositories=max_repositories, actor=actor_of(by)
        )

    async def _owner(self, name: str) -> NamespaceRow:
        owner = await self._database.read(namespaces.find, name)
        if owner is None:
            raise Unknown(f"there is no user or organisation {name}")
        return owner
