"""The endpoints (OCI Distribution Spec 1.1, "Endpoints"), and what each of them needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from registry_server.api.base import get_base
from registry_server.api.blobs import delete_blob, get_blob, head_blob
from registry_server.api.calls import Call
from registry_server.api.catalog import list_repositories
from registry_server.api.manifests import (
    delete_manifest,
    get_manifest,
    head_manifest,
    put_manifest,
)
from registry_server.api.paths import Resource
from registry_server.api.referrers import list_referrers
from registry_server.api.replies import Reply
from registry_server.api.tags import list_tags
from registry_server.api.uploads import (
    delete_upload,
    get_upload,
    patch_upload,
    post_upload,
    put_upload,
)

Handler = Callable[[Call], Awaitable[Reply]]


class Need(Enum):
    """What it takes to be allowed in."""

    LOGIN = auto()
    """A login, where there is access control at all: `docker login` asks here."""
    LIST = auto()
    """The right to ask for the catalog; the handler shows what they may see."""
    PULL = auto()
    PUSH = auto()
    DELETE = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint."""

    method: str
    resource: Resource
    need: Need
    handler: Handler


ROUTES: Final = (
    Route("GET", Resource.BASE, Need.LOGIN, get_base),
    Route("GET", Resource.CATALOG, Need.LIST, list_repositories),
    Route("GET", Resource.TAGS, Need.PULL, list_tags),
    Route("GET", Resource.MANIFEST, Need.PULL, get_manifest),
    Route("HEAD", Resource.MANIFEST, Need.PULL, head_manifest),
    Route("PUT", Resource.MANIFEST, Need.PUSH, put_manifest),
    Route("DELETE", Resource.MANIFEST, Need.DELETE, delete_manifest),
    Route("GET", Resource.REFERRERS, Need.PULL, list_referrers),
    Route("GET", Resource.BLOB, Need.PULL, get_blob),
    Route("HEAD", Resource.BLOB, Need.PULL, head_blob),
    Route("DELETE", Resource.BLOB, Need.DELETE, delete_blob),
    Route("POST", Resource.UPLOADS, Need.PUSH, post_upload),
    Route("GET", Resource.UPLOAD, Need.PUSH, get_upload),
    Route("PATCH", Resource.UPLOAD, Need.PUSH, patch_upload),
    Route("PUT", Resource.UPLOAD, Need.PUSH, put_upload),
    Route("DELETE", Resource.UPLOAD, Need.PUSH, delete_upload),
)


def _by_method_and_resource() -> Mapping[tuple[str, Resource], Route]:
    """HEAD is answered wherever GET is; nothing is written for one that has no route of its own."""
    table = {("HEAD", route.resource): route for route in ROUTES if route.method == "GET"}
    return table | {(route.method, route.resource): route for route in ROUTES}


_TABLE: Final = _by_method_and_resource()


def find_route(method: str, resource: Resource) -> Route | None:
    """The endpoint; None where the resource has no such method."""
    return _TABLE.get((method, resource))


def allowed_methods(resource: Resource) -> list[str]:
    """The methods that a resource has."""
    return sorted(method for method, found in _TABLE if found is resource)
