"""What a handler is called with: one request, understood and allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_server.api.body import Body
from registry_server.api.errors import Problem
from registry_server.api.paths import Target
from registry_server.api.requests import Request, parse_query
from registry_server.auth.access import Access, Action, Decision, Listing, Subject
from registry_server.limits import RequestLimit
from registry_server.settings.model import Settings
from registry_storage.digest import Digest
from registry_storage.values import Actor

if TYPE_CHECKING:
    from registry_storage import Registry, Repository


@dataclass(frozen=True, slots=True)
class Context:
    """What all handlers share."""

    registry: Registry
    access: Access
    settings: Settings
    pulls: RequestLimit | None
    """How often manifests may be pulled; None: there is no limit."""


@dataclass(slots=True)
class Call:
    """One request to an endpoint of the distribution API."""

    context: Context
    request: Request
    target: Target
    subject: Subject
    decision: Decision | None
    """None where the endpoint is about no repository."""
    repository: Repository
    """Of the target; for an endpoint without one it must not be asked for."""

    @property
    def digest(self) -> Digest:
        """Of the target, which the route says is one."""
        assert isinstance(self.target.reference, Digest)
        return self.target.reference

    @property
    def actor(self) -> Actor:
        """Whom the events name."""
        return Actor(self.subject.name, self.request.remote)

    async def moved(self) -> Call | None:
        """The same call on the repository that had the target's name before, if it may be read."""
        registry = self.context.registry
        name = await registry.resolve(self.target.name)
        if name is None or not self.context.access.may_follow(self.subject, name):
            return None
        target = replace(self.target, name=name)
        return replace(self, target=target, repository=registry.repository(name))

    def parameters(self) -> dict[str, list[str]]:
        """Of the query, decoded."""
        return parse_query(self.target.query)

    def body(self) -> Body:
        """The request's body, to be read once."""
        return Body(self.request, self.context.settings.http.timeouts.body)

    def may_pull(self, repository: str) -> bool:
        """Whether whoever asks may also read that repository."""
        return self.context.access.decide(self.subject, repository, Action.PULL).allowed

    def may_see(self, repository: str) -> bool:
        """Whether the catalog shows whoever asks that repository."""
        return self.context.access.may_see(self.subject, repository)

    def listing(self) -> Listing | None:
        """What the catalog shows whoever asks; None: `may_see` tells that of each repository."""
        return self.context.access.listing(self.subject)

    @property
    def authority(self) -> str:
        """What goes before the path of a URL: nothing, or how clients reach the registry."""
        http = self.context.settings.http
        if http.relativeurls:
            return ""
        return self.request.authority if http.host is None else http.host

    def url(self, *parts: str) -> str:
        """The URL of something in the target's repository: `url("blobs", digest)`."""
        return "/".join((f"{self.authority}/v2/{self.target.name}", *parts))


def required_digest(parameters: dict[str, list[str]], name: str = "digest") -> Digest:
    """The digest that a query must give.  Raises `Problem` (400), `DigestInvalid`."""
    values = parameters.get(name, [])
    if len(values) != 1:
        message = f"give {name}=... in the query, once; it is there {len(values)} times"
        raise Problem(400, "DIGEST_INVALID", message)
    return Digest.parse(values[0])
