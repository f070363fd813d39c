"""What a request needs rights to, in the words of policies and in those of token servers."""

from __future__ import annotations

from typing import Final

from registry_server.api.paths import Resource, Target
from registry_server.api.requests import parse_query
from registry_server.api.routes import Need
from registry_server.auth.access import Action, Scope
from registry_storage.names import is_repository_name

ACTIONS: Final = {Need.PULL: Action.PULL, Need.PUSH: Action.PUSH, Need.DELETE: Action.DELETE}

_ASKED_FOR: Final = {Need.PULL: "pull", Need.PUSH: "pull,push", Need.DELETE: "delete"}
"""Who pushes also looks at what is there."""
_CATALOG: Final = Scope("registry", "catalog", "*")


def needed_scopes(need: Need, target: Target) -> tuple[Scope, ...]:
    """What a token for the request should grant; for a mount also reading its source."""
    if need is Need.LOGIN:
        return ()
    if need is Need.LIST:
        return (_CATALOG,)
    own = Scope("repository", target.name, _ASKED_FOR[need])
    if target.resource is not Resource.UPLOADS:
        return (own,)
    sources = parse_query(target.query).get("from", [])
    return (
        own,
        *(Scope("repository", name, "pull") for name in sources[:1] if _is_other(name, own)),
    )


def _is_other(name: str, target: Scope) -> bool:
    return name != target.name and is_repository_name(name)
