"""What clients ask a token for: `repository:team/app:pull,push` (Docker's token specification).

    scope   = type [ "(" class ")" ] ":" name ":" action *( "," action )

A request may ask for several, in parameters of their own, or separated by spaces in one.  What no
registry of ours would look at (other types, names that are none, actions that there are not) is
dropped, as the specification wants it: a token may always grant less than was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from registry_server.auth.access import Action
from registry_storage.names import is_repository_name

MAX_SCOPES: Final = 50
MAX_LENGTH: Final = 16 * 1024
"""Of all scopes of a request, in characters."""

_SCOPE: Final = re.compile(r"([a-z0-9]+)(?:\([^():]*\))?:(.+):([^:]*)", re.DOTALL)
_EVERYTHING: Final = "*"


class TooManyScopes(ValueError):
    """More was asked for than one token can say; the message says so."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for, as far as there is such a thing."""

    repositories: Mapping[str, frozenset[Action]] = field(default_factory=dict)
    """Actions by repository, in the order in which they were asked for."""
    catalog: bool = False
    """Whether it is to list repositories."""


def parse_scopes(texts: Iterable[str]) -> Wanted:
    """Read the parameters `scope`.  Raises `TooManyScopes`."""
    repositories: dict[str, frozenset[Action]] = {}
    catalog = False
    for kind, name, actions in _parsed(texts):
        if kind == "repository" and is_repository_name(name):
            repositories[name] = repositories.get(name, frozenset()) | _actions(actions)
        elif (kind, name) == ("registry", "catalog"):
            catalog = catalog or _EVERYTHING in actions
    return Wanted({name: wanted for name, wanted in repositories.items() if wanted}, catalog)


def _parsed(texts: Iterable[str]) -> Iterable[tuple[str, str, list[str]]]:
    scopes = list(dict.fromkeys(scope for text in texts for scope in text.split()))
    if len(scopes) > MAX_SCOPES:
        raise TooManyScopes(f"{len(scopes)} scopes are asked for, more than {MAX_SCOPES}")
    if sum(map(len, scopes)) > MAX_LENGTH:
        raise TooManyScopes(f"the scopes have more than {MAX_LENGTH} characters")
    for scope in scopes:
        if found := _SCOPE.fullmatch(scope):
            yield found[1], found[2], found[3].split(",")


def _actions(names: list[str]) -> frozenset[Action]:
    if _EVERYTHING in names:
        return frozenset(Action)
    return frozenset(action for action in Action if action.value in names)
