"""Organisations, repositories and namespaces: the services over one database and one store."""

from __future__ import annotations

from dataclasses import dataclass

from registry_server.hub.organisations import organisations
from registry_server.hub.organisations.repositories import Repositories, actor_of
from registry_server.hub.organisations.spaces import Spaces
from registry_server.hub.records.audit import By
from registry_server.hub.records.namespaces import NamespaceRow
from registry_storage import Registry
from registry_storage.databases import Database


class Organisations:
    """Begins and ends organisations, which the catalog has a say in, too."""

    def __init__(self, database: Database, registry: Registry, repositories: Repositories) -> None:
        self._database = database
        self._registry = registry
        self._repositories = repositories

    async def create(
        self,
        by: By,
        name: str,
        *,
        admin: int | None,
        full_name: str = "",
        description: str = "",
    ) -> NamespaceRow:
        """Make one, which the user `admin`, if any, administers.

        Raises `Invalid`, `Taken`, and `Conflict` where repositories lie in its namespace.
        """
        await self._repositories.refuse_inhabited(name)
        return await self._database.write(
            organisations.create,
            by,
            name,
            admin=admin,
            full_name=full_name,
            description=description,
        )

    async def delete(self, by: By, name: str) -> None:
        """Delete one that has no repositories; who has its name next begins with the defaults.

        Raises `Unknown`, `Conflict`.
        """
        await self._repositories.refuse_inhabited(name)
        await self._database.write(organisations.delete, by, name)
        await self._registry.reset_namespace(name, actor=actor_of(by))


@dataclass(frozen=True, slots=True)
class Holdings:
    """The services, over an open database and an open store."""

    database: Database
    organisations: Organisations
    repositories: Repositories
    spaces: Spaces

    @classmethod
    def over(cls, database: Database, registry: Registry) -> Holdings:
        repositories = Repositories(database, registry)
        return cls(
            database,
            Organisations(database, registry, repositories),
            repositories,
            Spaces(database, registry),
        )
