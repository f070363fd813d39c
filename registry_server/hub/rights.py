"""What a caller may do where: the rules of `roles`, over what the hub's tables and the catalog say.

Everything that decides about an account asks here: the token service, the API, the pages.  Nothing
is remembered, so what was taken away is gone with the next question.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry_server.auth.access import Action
from registry_server.hub.callers import Caller, Kind
from registry_server.hub.records import grants
from registry_server.hub.records.grants import Standing
from registry_server.hub.roles import ACTIONS, Limit, Role, narrowed, strongest
from registry_storage import Registry, Visibility
from registry_storage.databases import Database
from registry_storage.names import namespace_of

_NOBODY = Standing(belongs=False)


@dataclass(frozen=True, slots=True)
class Sight:
    """Which repositories a caller sees, beside the public ones, which everybody sees."""

    everything: bool = False
    namespaces: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    limits: tuple[Limit, ...] | None = None
    """What the credentials narrow that to."""

    def shows(self, name: str, visibility: Visibility) -> bool:
        """Whether they see one that `namespaces` and `names`, or its being public, bring up."""
        if visibility is Visibility.PUBLIC or self.limits is None:
            return True
        return any(limit.covers(name) for limit in self.limits)


class Rights:
    """The one judge of who may do what."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    async def on_repository(self, caller: Caller, name: str) -> Role | None:
        """The role that the caller has on a repository, there or not; a public one gives READ."""
        role = narrowed(await self._given(caller, name), caller.limits, name)
        if role is None and await self._registry.visibility(name) is Visibility.PUBLIC:
            return Role.READ
        return role

    async def on_namespace(self, caller: Caller, namespace: str) -> Role | None:
        """The role that the caller has on all of a namespace, there or not."""
        return _least(await self._given_on_all(caller, namespace), _extent(caller, namespace))

    async def belongs(self, caller: Caller, namespace: str) -> bool:
        """Whether it is the caller's, or they are a member, with a role on all of it or without."""
        if _extent(caller, namespace) is None:
            return False
        return caller.is_admin or (await self._standing(caller, namespace)).belongs

    async def actions(self, caller: Caller, name: str) -> frozenset[Action]:
        """What a token for the caller may allow on the repository that clients call `name`.

        A name that leads to another, for the repository was renamed, may be pulled from by whoever
        may pull from that, and by nobody else.
        """
        role = await self.on_repository(caller, name)
        allowed = frozenset() if role is None else ACTIONS[role]
        if (real := await self._registry.resolve(name)) is None:
            return allowed
        if await self.on_repository(caller, real) is None:
            return allowed - {Action.PULL}
        return allowed | {Action.PULL}

    async def visible(self, caller: Caller) -> tuple[list[str], list[str]]:
        """The namespaces that the caller sees whole, and repositories that they see elsewhere.

        Beside what is public; credentials for some of a namespace's repositories bring up none.
        """
        sight = await self.sight(caller)
        whole = [space for space in sight.namespaces if _extent(caller, space) is not None]
        names = [name for name in sight.names if sight.shows(name, Visibility.PRIVATE)]
        return sorted(whole), sorted(names)

    async def sight(self, caller: Caller) -> Sight:
        """What the caller sees beside what is public."""
        if caller.is_anonymous or caller.account is None:
            return Sight()
        if caller.kind is Kind.ROBOT:
            return Sight(namespaces=frozenset({_home(caller)}), limits=caller.limits or ())
        if caller.is_admin:
            return Sight(everything=True, limits=caller.limits)
        reach = await self._database.read(grants.reach, caller.account)
        return Sight(False, reach.namespaces, reach.repositories, caller.limits)

    async def _given(self, caller: Caller, name: str) -> Role | None:
        """To the account, whatever its credentials narrow that to."""
        namespace = namespace_of(name)
        if caller.kind is Kind.USER and not caller.is_admin and namespace:
            within = name.removeprefix(f"{namespace}/")
            return strongest((await self._standing(caller, namespace, within)).roles)
        return await self._given_on_all(caller, namespace)

    async def _given_on_all(self, caller: Caller, namespace: str) -> Role | None:
        if caller.kind is Kind.ROBOT:
            return Role.ADMIN if namespace == _home(caller) and caller.limits else None
        if caller.is_admin:
            return Role.ADMIN
        return strongest((await self._standing(caller, namespace)).roles)

    async def _standing(self, caller: Caller, namespace: str, within: str = "") -> Standing:
        if caller.kind is not Kind.USER or caller.account is None or not namespace:
            return _NOBODY
        return await self._database.read(grants.standing, caller.account, namespace, within)


def _home(robot: Caller) -> str:
    """The namespace that a robot belongs to."""
    return robot.name.partition("+")[0]


def _extent(caller: Caller, namespace: str) -> Role | None:
    """What the credentials leave of rights on a whole namespace; limits on parts of it, nothing."""
    if caller.limits is None:
        return Role.ADMIN
    whole = ("**", f"{namespace}/**")
    return strongest(limit.role for limit in caller.limits if limit.repositories in whole)


def _least(given: Role | None, extent: Role | None) -> Role | None:
    if given is None or extent is None:
        return None
    return extent if given.includes(extent) else given
