"""Tokens of the registry: what a caller may do of what was asked for, signed.

Nobody is refused here: whoever may do nothing gets a token that says so, the same for a repository
that is private as for one that is not there.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt

from registry_server.auth.access import Action
from registry_server.auth.signed import MAX_TOKEN_LENGTH
from registry_server.hub.callers import Caller
from registry_server.hub.tokens.keys import SigningKeys
from registry_server.hub.tokens.scopes import TooManyScopes, Wanted
from registry_server.settings.hub import HubSettings

BACKDATED_SECONDS: Final = 10
"""A token is valid from a little before it was made: the clocks of others may be late."""
MAX_CATALOG: Final = 3 * 1024
"""Bytes of a token that name what its holder may list."""


class Rights(Protocol):
    """Who may do what."""

    async def actions(self, caller: Caller, name: str) -> frozenset[Action]:
        """On a repository, whether there is one or not."""

    async def visible(self, caller: Caller) -> tuple[Sequence[str], Sequence[str]]:
        """The namespaces and, elsewhere, the repositories that they may pull from."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and what its answer tells of it."""

    token: str
    lifetime: int
    """In seconds."""
    issued_at: int
    """In seconds of the epoch."""
    granted: tuple[str, ...]
    """The scopes that it grants."""


class Issuer:
    """Signs tokens for one registry."""

    def __init__(
        self,
        settings: HubSettings,
        keys: SigningKeys,
        rights: Rights,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._rights = rights
        self._clock = clock

    async def issue(self, caller: Caller, wanted: Wanted) -> Issued:
        """A token for what `caller` may do of what is wanted.

        Raises `TooManyScopes` where that is more than a token can say.
        """
        access = await self._repositories(caller, wanted)
        claims: dict[str, Any] = {}
        if wanted.catalog:
            if caller.is_admin and caller.limits is None:
                access.append(_entry("registry", "catalog", ["*"]))
            else:
                claims["catalog"] = _catalog(*await self._rights.visible(caller))
        now, lifetime = int(self._clock()), int(self._settings.tokens.lifetime)
        token = self._sign(caller.name, now, lifetime, {"access": access, **claims})
        if len(token) > MAX_TOKEN_LENGTH:
            raise TooManyScopes("a token for so many scopes would be too long; ask for fewer")
        return Issued(token, lifetime, now, tuple(map(_scope, access)))

    async def _repositories(self, caller: Caller, wanted: Wanted) -> list[dict[str, Any]]:
        entries = []
        for name, actions in wanted.repositories.items():
            granted = actions & await self._rights.actions(caller, name)
            if granted:
                in_order = [action.value for action in Action if action in granted]
                entries.append(_entry("repository", name, in_order))
        return entries

    def _sign(self, subject: str, now: int, lifetime: int, claims: Mapping[str, Any]) -> str:
        key = self._keys.current()
        registered = {
            "iss": self._settings.issuer,
            "sub": subject,
            "aud": self._settings.service,
            "exp": now + lifetime,
            "nbf": now - BACKDATED_SECONDS,
            "iat": now,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode({**registered, **claims}, key.private, key.algorithm, {"kid": key.kid})


def _entry(kind: str, name: str, actions: list[str]) -> dict[str, Any]:
    return {"type": kind, "name": name, "actions": actions}


def _scope(entry: Mapping[str, Any]) -> str:
    return f"{entry['type']}:{entry['name']}:{','.join(entry['actions'])}"


def _catalog(namespaces: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """What may be listed besides all that is public, as far as a token has room for it."""
    room = MAX_CATALOG
    kept: dict[str, list[str]] = {"namespaces": [], "repositories": []}
    for kind, texts in (("namespaces", sorted(namespaces)), ("repositories", sorted(names))):
        for text in texts:
            room -= len(json.dumps(text)) + 1
            if room < 0:
                return kept
            kept[kind].append(text)
    return kept
