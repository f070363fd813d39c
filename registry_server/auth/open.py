"""No access control: everybody may do everything, and credentials are not looked at."""

from __future__ import annotations

from collections.abc import Sequence

from registry_server.auth.access import ANONYMOUS, Access, Action, Decision, Scope, Subject
from registry_server.auth.policy import OPEN, decide


class OpenAccess(Access):
    """For a registry that only this machine can reach, or that is meant to be open."""

    is_open = True

    async def start(self) -> None:
        """There is nothing to follow."""

    async def close(self) -> None:
        """There is nothing to free."""

    def identify_cached(self, authorization: str | None) -> Subject | None:
        return ANONYMOUS

    async def identify(self, authorization: str | None, *, client: str = "") -> Subject:
        return ANONYMOUS

    def decide(self, subject: Subject, repository: str, action: Action) -> Decision:
        return decide(OPEN, subject, repository, action)

    def challenge(self, subject: Subject | None, scopes: Sequence[Scope], authority: str) -> None:
        """Nobody is refused."""
