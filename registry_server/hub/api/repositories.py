"""Repositories and their tags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import Field

from registry_server.hub.api.models import (
    AccountName,
    Page,
    Paging,
    RepositoryName,
    TagName,
    moment,
    moment_or_none,
    page_of,
)
from registry_server.hub.organisations.repositories import actor_of
from registry_server.hub.roles import Role
from registry_server.hub.web.admission import admit
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Input, Output, Route
from registry_storage import RepositoryFacts, TagFacts, Visibility
from registry_storage.errors import ManifestUnknown

MAINTAINERS: Final = Policy.repository(Role.MAINTAIN)
_READERS: Final = Policy.repository(Role.READ)
_OWNERS: Final = Policy.repository(Role.ADMIN)


class RepositoryQuery(Paging):
    namespace: AccountName | None = Field(None, description="Only those of that namespace.")


class NewRepository(Input):
    visibility: Visibility | None = Field(
        None, description="Null: as the namespace has its new repositories."
    )


class VisibilityChange(Input):
    visibility: Visibility


class NewName(Input):
    name: RepositoryName


class Repository(Output):
    name: str
    visibility: Visibility
    created_at: datetime
    last_pushed_at: datetime | None
    size: int = Field(description="Bytes of what it holds, each blob counted once.")
    tags: int
    pulls: int
    last_pulled_at: datetime | None


class Tag(Output):
    name: str
    digest: str
    media_type: str
    size: int = Field(description="Bytes of the manifest and all that it refers to.")
    created_at: datetime = Field(description="When the manifest came here first.")
    pushed_at: datetime = Field(description="When the tag came to name it.")
    pulls: int = Field(description="By this tag.")
    last_pulled_at: datetime | None


async def list_repositories(call: Call, query: RepositoryQuery) -> Page[Repository]:
    """List the repositories that the caller may pull from, by name."""
    found = await call.hub.repositories.browse(
        await call.hub.rights.sight(call.caller),
        namespace=query.namespace,
        after=query.after,
        limit=query.limit,
    )
    return page_of([_repository(facts) for facts in found], query, "name")


async def get_repository(call: Call, repository: RepositoryName) -> Repository:
    """Show a repository."""
    return _repository(await call.hub.repositories.facts(repository))


async def create_repository(
    call: Call, repository: RepositoryName, body: NewRepository
) -> Repository:
    """Make an empty repository; where there is one, nothing happens, and it is shown as it is."""
    await call.hub.repositories.ensure(call.by, repository, body.visibility)
    return _repository(await call.hub.repositories.facts(repository))


async def set_visibility(call: Call, repository: RepositoryName, body: VisibilityChange) -> None:
    """Make a repository public or private."""
    await call.hub.repositories.set_visibility(call.by, repository, body.visibility)


async def rename_repository(call: Call, repository: RepositoryName, body: NewName) -> Repository:
    """Rename a repository, or transfer it to another namespace; its old name leads pulls there."""
    await admit(MAINTAINERS, call.caller, call.hub.rights, {"repository": body.name})
    await call.hub.repositories.rename(call.by, repository, body.name)
    return _repository(await call.hub.repositories.facts(body.name))


async def delete_repository(call: Call, repository: RepositoryName) -> None:
    """Delete a repository with all that it holds."""
    await call.hub.repositories.delete(call.by, repository)


async def list_tags(call: Call, repository: RepositoryName, query: Paging) -> Page[Tag]:
    """List a repository's tags, by name."""
    found = await call.hub.registry.repository(repository).tag_facts(
        after=query.after, limit=query.limit
    )
    return page_of([_tag(facts) for facts in found], query, "name")


async def get_tag(call: Call, repository: RepositoryName, tag: TagName) -> Tag:
    """Show a tag."""
    found = await call.hub.registry.repository(repository).tag(tag)
    if found is None:
        raise ManifestUnknown(f"{repository} has no tag {tag}")
    return _tag(found)


async def delete_tag(call: Call, repository: RepositoryName, tag: TagName) -> None:
    """Delete a tag; its manifest stays."""
    await call.hub.registry.repository(repository).delete_tag(tag, actor=actor_of(call.by))


def _repository(facts: RepositoryFacts) -> Repository:
    return Repository(
        name=facts.name,
        visibility=facts.visibility,
        created_at=moment(facts.created_at),
        last_pushed_at=moment_or_none(facts.last_pushed_at),
        size=facts.size,
        tags=facts.tags,
        pulls=facts.pulls,
        last_pulled_at=moment_or_none(facts.last_pulled_at),
    )


def _tag(facts: TagFacts) -> Tag:
    return Tag(
        name=facts.name,
        digest=str(facts.digest),
        media_type=facts.media_type,
        size=facts.size,
        created_at=moment(facts.pushed_at),
        pushed_at=moment(facts.moved_at),
        pulls=facts.pulls,
        last_pulled_at=moment_or_none(facts.last_pulled_at),
    )


_ALL: Final = "/api/v1/repositories"
_ONE: Final = f"{_ALL}/{{repository}}"
_TAGS: Final = f"{_ONE}/tags"
_TAG: Final = f"{_TAGS}/{{tag}}"

ROUTES: Final[Sequence[Route]] = (
    Route("GET", _ALL, Policy.ANYONE, list_repositories),
    Route("GET", _ONE, _READERS, get_repository),
    Route("PUT", _ONE, MAINTAINERS, create_repository),
    Route("DELETE", _ONE, _OWNERS, delete_repository),
    Route("PUT", f"{_ONE}/visibility", MAINTAINERS, set_visibility),
    Route("PUT", f"{_ONE}/name", _OWNERS, rename_repository),
    Route("GET", _TAGS, _READERS, list_tags),
    Route("GET", _TAG, _READERS, get_tag),
    Route("DELETE", _TAG, MAINTAINERS, delete_tag),
)
