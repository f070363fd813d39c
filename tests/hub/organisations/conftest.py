"""A hub's database with an organisation and some people, and a judge over it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from registry_server.hub.callers import ANONYMOUS, Caller
from registry_server.hub.organisations import grants, organisations, teams
from registry_server.hub.rights import Rights
from registry_server.hub.roles import Role
from registry_storage import Visibility
from registry_storage.databases import Database
from tests.hub.organisations.people import BY, add_user, limit


@dataclass
class CatalogOfNames:
    """What rights ask the catalog: who may pull from what, and what it was called before."""

    public: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)

    async def visibility(self, name: str) -> Visibility | None:
        if name in self.public:
            return Visibility.PUBLIC
        return Visibility.PRIVATE if name in self.private else None

    async def resolve(self, name: str) -> str | None:
        return self.renamed.get(name)


@dataclass(frozen=True)
class Town:
    """An organisation `team` of `ann` (admin), `wil` (write) and `rob` (no role); `sue` is not in
    it; `eve` is nobody's friend."""

    database: Database
    catalog: CatalogOfNames
    rights: Rights
    people: dict[str, Caller]

    def __getitem__(self, name: str) -> Caller:
        return self.people[name]

    def narrowed(self, name: str, *limits: str) -> Caller:
        """A person who comes with an access token of those limits."""
        return replace(self.people[name], limits=tuple(map(limit, limits)))

    async def role(self, who: str | Caller, repository: str) -> Role | None:
        caller = self.people[who] if isinstance(who, str) else who
        return await self.rights.on_repository(caller, repository)


@pytest.fixture
async def town(hub_database: Database) -> Town:
    people = {"anonymous": ANONYMOUS}
    for name in ("ann", "wil", "rob", "sue", "eve"):
        people[name] = await add_user(hub_database, name)
    root = await add_user(hub_database, "root")
    people["root"] = replace(root, is_admin=True)
    write = hub_database.write
    await write(organisations.create, BY, "team", admin=people["ann"].account)
    await write(organisations.put_member, BY, "team", "wil", Role.WRITE)
    await write(organisations.put_member, BY, "team", "rob", None)
    await write(teams.put, BY, "team", "readers", "", None)
    await write(teams.add_user, BY, "team", "readers", "rob")
    await write(grants.give_team, BY, "team/app", "readers", Role.READ)
    await write(grants.give_user, BY, "team/app", "sue", Role.MAINTAIN)
    catalog = CatalogOfNames(public={"team/open", "busybox"}, private={"team/app", "team/other"})
    return Town(hub_database, catalog, Rights(hub_database, catalog), people)  # type: ignore[arg-type]
