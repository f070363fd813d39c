"""Whether a caller meets a route's policy: the one place where that is enforced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from registry_server.hub.callers import Caller, Kind, Via
from registry_server.hub.roles import Role
from registry_server.hub.web.policies import Concern, Policy
from registry_server.hub.web.problems import Problem, forbidden, unauthenticated, unknown


class RightsOf(Protocol):
    """What callers may do, as far as policies ask."""

    async def on_repository(self, caller: Caller, name: str) -> Role | None: ...

    async def on_namespace(self, caller: Caller, namespace: str) -> Role | None: ...

    async def belongs(self, caller: Caller, namespace: str) -> bool: ...


async def admit(policy: Policy, caller: Caller, rights: RightsOf, path: Mapping[str, Any]) -> None:
    """Let the caller pass, or raise `Problem`: 401, 403, or 404 about what they may not see."""
    match policy.concern:
        case Concern.NOT_ASKED | Concern.NOTHING:
            return
        case Concern.NAMESPACE | Concern.MEMBERSHIP:
            await _admit_to_namespace(policy, caller, rights, path["namespace"])
        case Concern.REPOSITORY:
            await _admit_to_repository(policy, caller, rights, path["repository"])
        case _:
            _admit_account(policy, caller)


def _admit_account(policy: Policy, caller: Caller) -> None:
    if caller.is_anonymous:
        raise unauthenticated()
    if policy.concern is Concern.SIGNED_IN:
        return
    if caller.kind is not Kind.USER or caller.limits is not None:
        raise forbidden("this takes a user with all their rights: sign in")
    if policy.concern is Concern.SESSION and caller.via is not Via.SESSION:
        raise forbidden("this can be done in a session only: sign in with the password")
    if policy.concern is Concern.SITE_ADMIN and not caller.is_admin:
        raise forbidden("this is for the administrators of the hub")


async def _admit_to_namespace(
    policy: Policy, caller: Caller, rights: RightsOf, namespace: str
) -> None:
    role = await rights.on_namespace(caller, namespace)
    if role is None and not await rights.belongs(caller, namespace):
        raise _hidden(caller)
    if policy.role is not None and (role is None or not role.includes(policy.role)):
        raise _too_weak(policy.role, "namespace", namespace)


async def _admit_to_repository(policy: Policy, caller: Caller, rights: RightsOf, name: str) -> None:
    role = await rights.on_repository(caller, name)
    if role is None:
        raise _hidden(caller)
    if policy.role is not None and not role.includes(policy.role):
        if caller.is_anonymous:
            raise unauthenticated()
        raise _too_weak(policy.role, "repository", name)


def _hidden(caller: Caller) -> Problem:
    return unauthenticated() if caller.is_anonymous else unknown()


def _too_weak(needed: Role, kind: str, name: str) -> Problem:
    return forbidden(f"this takes the role {needed} on the {kind} {name}")
