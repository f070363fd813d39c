"""What roles allow: the one place where that is decided, for tokens, for the API and for the web.

    read       pull
    write      … and push; where there is no such repository yet, that makes it
    maintain   … and delete, and change visibility
    admin      … and say who else may do what, rename, transfer, delete the whole repository

Whoever owns a namespace is its admin.  In an organisation a member has the strongest of what the
membership, the teams and the grants say.  A public repository may be pulled by everybody.
Credentials only ever narrow what their account may do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from registry_server.auth.access import Action
from registry_server.auth.policy import compile_globs


class Role(StrEnum):
    """From the weakest to the strongest."""

    READ = "read"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return _RANKS[self]

    def includes(self, other: Role) -> bool:
        """Whether whoever has this one may do all that `other` allows."""
        return self.rank >= other.rank


_RANKS: Final = {role: rank for rank, role in enumerate(Role)}

ACTIONS: Final = {
    Role.READ: frozenset({Action.PULL}),
    Role.WRITE: frozenset({Action.PULL, Action.PUSH}),
    Role.MAINTAIN: frozenset(Action),
    Role.ADMIN: frozenset(Action),
}
"""What each role allows on a repository."""


@dataclass(frozen=True, slots=True)
class Limit:
    """On the repositories that a glob covers, no more than a role."""

    repositories: str
    """`*` stands for anything within a component, `**` for anything at all."""
    role: Role

    def covers(self, repository: str) -> bool:
        return _compiled(self.repositories).fullmatch(repository) is not None


def strongest(roles: Iterable[Role | None]) -> Role | None:
    """None where there is none."""
    return max((role for role in roles if role is not None), key=_RANKS.__getitem__, default=None)


def narrowed(role: Role | None, limits: Iterable[Limit] | None, repository: str) -> Role | None:
    """What is left of `role` where credentials have `limits`; None of them: all of it."""
    if role is None or limits is None:
        return role
    allowed = strongest(limit.role for limit in limits if limit.covers(repository))
    return None if allowed is None else min(role, allowed, key=_RANKS.__getitem__)


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    return compile_globs([glob])
