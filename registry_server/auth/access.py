"""Who asks, what for, and what the answer is: the words that the handlers and the policies share.

A handler turns a request into a `Subject` and asks for a `Decision`; it never looks at passwords,
files or rules:

    subject = access.identify_cached(authorization)
    if subject is None:
        subject = await access.identify(authorization, client=address)
    decision = access.decide(subject, repository, Action.PUSH)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from registry_server.limits import TooManyLogins as TooManyLogins


class Action(StrEnum):
    """What a request wants to do to a repository."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request would need to be allowed; as text it is what a token server is asked for."""

    kind: str
    name: str
    actions: str
    """Joined by commas."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{self.actions}"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks.  The empty name is nobody in particular: no credentials were sent."""

    name: str = ""
    is_late: bool = False
    """Their token has expired, but so lately that they may end uploads that they began."""

    @property
    def is_anonymous(self) -> bool:
        return not self.name


ANONYMOUS = Subject()


@dataclass(frozen=True, slots=True)
class Listing:
    """What of the catalog somebody may see besides all that is public."""

    namespaces: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may be done, and why: `reason` is for the log, and names what decided."""

    allowed: bool
    reason: str
    may_move_tags: bool = True
    """False where a push may make new tags but not point an existing tag elsewhere."""


class CredentialsRefused(Exception):
    """Credentials were sent and are not valid; they never make the request an anonymous one."""

    @property
    def told(self) -> str:
        """What a client is told: of passwords, the same whatever was wrong with them."""
        return "the user name or the password is wrong"


class Access(ABC):
    """One way of access control, as the settings choose it."""

    is_open: bool
    """Whether nobody ever needs to log in."""

    @abstractmethod
    async def start(self) -> None:
        """Begin to follow the files that the rules come from."""

    @abstractmethod
    async def close(self) -> None:
        """Free what `start` took."""

    @abstractmethod
    def identify_cached(self, authorization: str | None) -> Subject | None:
        """Who sent this `Authorization` header, where that is known already; else None.

        Takes about a microsecond and never blocks.  Without a header: `ANONYMOUS`.
        """

    @abstractmethod
    async def identify(self, authorization: str | None, *, client: str = "") -> Subject:
        """Who sent this `Authorization` header.  `client` is the address that it came from.

        Raises `CredentialsRefused` (for every reason alike), `TooManyLogins`.
        """

    @abstractmethod
    def decide(self, subject: Subject, repository: str, action: Action) -> Decision:
        """May `subject` do that to `repository`?  Never blocks."""

    @abstractmethod
    def challenge(
        self, subject: Subject | None, scopes: Sequence[Scope], authority: str
    ) -> str | None:
        """The value of `WWW-Authenticate` that asks `subject` for what gives them `scopes`.

        `subject` is None where credentials were refused.  `authority` is how they reached this
        server, as `https://host`.  The answer is None where there is nothing to ask for: whatever
        they send, they will not be allowed.
        """

    def admits(self, subject: Subject) -> bool:
        """Whether they may use the registry at all, whatever they may do to which repository."""
        return self.is_open or not subject.is_anonymous

    def may_list(self, subject: Subject) -> bool:
        """Whether they may ask for the catalog; it shows what `listing` or `may_see` allows."""
        return True

    def listing(self, subject: Subject) -> Listing | None:
        """What the catalog shows them; None: `may_see` tells that of each repository."""
        return None

    def may_follow(self, subject: Subject, new_name: str) -> bool:
        """Whether who may pull by a repository's old name may do so now that it has a new one."""
        return self.decide(subject, new_name, Action.PULL).allowed

    def may_see(self, subject: Subject, repository: str) -> bool:
        """Whether the catalog shows them that repository."""
        return self.decide(subject, repository, Action.PULL).allowed
