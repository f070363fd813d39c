"""Namespaces: how their repositories begin, what they may hold, and what they do hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field

from registry_server.hub.api.models import AccountName, Amount
from registry_server.hub.roles import Role
from registry_server.hub.web.policies import Policy
from registry_server.hub.web.routes import Call, Input, Output, Route
from registry_storage import Visibility


class Quota(Input):
    max_bytes: Amount | None = Field(
        None, description="Of distinct blobs and manifests; null: no limit."
    )
    max_repositories: Amount | None = Field(None, description="Null: no limit.")


class DefaultVisibility(Input):
    visibility: Visibility


class Usage(Output):
    bytes: int
    repositories: int


class Namespace(Output):
    name: str
    kind: Literal["user", "organisation"]
    default_visibility: Visibility = Field(description="Of repositories that are made in it.")
    max_bytes: int | None
    max_repositories: int | None
    usage: Usage = Field(description="Counted now.")


async def get_namespace(call: Call, namespace: AccountName) -> Namespace:
    """Show a namespace's settings, its quota and what it holds."""
    space = await call.hub.spaces.find(namespace)
    return Namespace(
        name=namespace,
        kind="organisation" if space.owner.is_organisation else "user",
        default_visibility=space.settings.default_visibility,
        max_bytes=space.settings.max_bytes,
        max_repositories=space.settings.max_repositories,
        usage=Usage(bytes=space.usage.bytes, repositories=space.usage.repositories),
    )


async def set_default_visibility(
    call: Call, namespace: AccountName, body: DefaultVisibility
) -> None:
    """Say whether repositories that are made in a namespace begin public or private."""
    await call.hub.spaces.set_default_visibility(call.by, namespace, body.visibility)


async def set_quota(call: Call, namespace: AccountName, body: Quota) -> None:
    """Say what a namespace may hold."""
    await call.hub.spaces.set_quota(
        call.by,
        namespace,
        max_bytes=body.max_bytes,
        max_repositories=body.max_repositories,
    )


_ONE: Final = "/api/v1/namespaces/{namespace}"

ROUTES: Final[Sequence[Route]] = (
    Route("GET", _ONE, Policy.MEMBER, get_namespace),
    Route(
        "PUT", f"{_ONE}/default-visibility", Policy.namespace(Role.ADMIN), set_default_visibility
    ),
    Route("PUT", f"{_ONE}/quota", Policy.SITE_ADMIN, set_quota),
)
