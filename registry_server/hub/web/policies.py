"""Who may call a route.  Each declares one policy, which is enforced before its handler runs.

What a caller may not even see is answered as if it were not there: 404.  Who may see it, but not do
that to it, gets 403; who has not said who they are, 401 where that is all that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from registry_server.hub.roles import Role


class Concern(StrEnum):
    """What a policy looks at."""

    NOT_ASKED = "nobody is asked who they are"
    NOTHING = "anyone"
    SIGNED_IN = "anyone signed in"
    ACCOUNT = "a user whose credentials are not narrowed"
    SESSION = "a user, in a session"
    SITE_ADMIN = "an administrator of the hub"
    MEMBERSHIP = "a member of the namespace"
    NAMESPACE = "a role on the namespace"
    REPOSITORY = "a role on the repository"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may call a route.

    A route about a namespace or a repository has a parameter `namespace` or `repository` in its
    path.
    """

    concern: Concern
    role: Role | None = None

    UNIDENTIFIED: ClassVar[Policy]
    """Nobody is asked who they are: what is the same for all, and what asks in a way of its own."""
    ANYONE: ClassVar[Policy]
    """With or without credentials; wrong ones are refused all the same."""
    SIGNED_IN: ClassVar[Policy]
    """Users and robots, whatever their credentials are narrowed to."""
    ACCOUNT: ClassVar[Policy]
    """Users who come with all their rights: in a session, or with a token without limits."""
    SESSION: ClassVar[Policy]
    """Users in a session: what a stolen token must not get at."""
    SITE_ADMIN: ClassVar[Policy]
    """Administrators of the hub who come with all their rights."""
    MEMBER: ClassVar[Policy]
    """Owners and members of the namespace, whatever their role."""

    @classmethod
    def namespace(cls, role: Role) -> Policy:
        """Those who have at least that role on all of the namespace."""
        return cls(Concern.NAMESPACE, role)

    @classmethod
    def repository(cls, role: Role) -> Policy:
        """Those who have at least that role on the repository."""
        return cls(Concern.REPOSITORY, role)

    def __str__(self) -> str:
        return self.concern if self.role is None else f"{self.concern}: {self.role}"


Policy.UNIDENTIFIED = Policy(Concern.NOT_ASKED)
Policy.ANYONE = Policy(Concern.NOTHING)
Policy.SIGNED_IN = Policy(Concern.SIGNED_IN)
Policy.ACCOUNT = Policy(Concern.ACCOUNT)
Policy.SESSION = Policy(Concern.SESSION)
Policy.SITE_ADMIN = Policy(Concern.SITE_ADMIN)
Policy.MEMBER = Policy(Concern.MEMBERSHIP)
