"""Bearer tokens: signed by a token server, verified here, offline (Docker's token specification).

A token is a signed JWT (RFC 7515, RFC 7519) whose claim `access` lists what its holder may do:

    [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from registry_server.auth.access import Action, Listing
from registry_server.auth.keys import Keys
from registry_server.auth.signed import (
    LEEWAY,
    TokenRefused,
    audience_claim,
    text_claim,
    time_claim,
    verify_signed,
)
from registry_storage.names import is_repository_name

MAX_SCOPES: Final = 100
GRACE: Final = 3600.0
"""Seconds for which an upload under way outlives its token."""

_EVERYTHING: Final = "*"
_TIMES: Final = ("exp", "nbf", "iat")


@dataclass(frozen=True, slots=True)
class Token:
    """What a valid token says."""

    subject: str
    """Empty for a token that was given to nobody in particular."""
    expires: float
    """In seconds of the epoch; the leeway comes on top."""
    grants: Mapping[str, frozenset[Action]]
    """By repository."""
    may_list: bool
    """Whether the whole catalog may be read."""
    listing: Listing | None = None
    """What of it may be read otherwise; None: nothing."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Whom tokens must come from, and whom they must be meant for."""

    issuer: str
    service: str
    algorithms: frozenset[str]
    clock: Callable[[], float] = time.time

    def verify(self, text: str, keys: Keys) -> Token:
        """What the token says.  It may have expired less than `GRACE` ago: ask `is_late`.

        Raises `TokenRefused`, `KeyUnknown`.
        """
        return self._read(verify_signed(text, keys, self.algorithms, self.clock()))

    def is_late(self, token: Token) -> bool:
        """Whether it has expired."""
        return token.expires + LEEWAY <= self.clock()

    def _read(self, claims: Mapping[str, Any]) -> Token:
        text_claim(claims, "jti")
        if text_claim(claims, "iss") != self.issuer:
            raise TokenRefused(f"its issuer is {claims['iss']!a:.80}, not {self.issuer!a:.80}")
        if self.service not in audience_claim(claims):
            raise TokenRefused(f"its audience is not this service, {self.service!a:.80}")
        expires = self._check_times(claims)
        grants, may_list = _grants(claims.get("access"))
        listing = _listing(claims.get("catalog"))
        return Token(text_claim(claims, "sub", minimum=0), expires, grants, may_list, listing)

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        expires, begins, issued = (time_claim(claims, name) for name in _TIMES)
        now = self.clock()
        if expires + LEEWAY + GRACE <= now:
            raise TokenRefused("it has expired")
        if begins - LEEWAY > now:
            raise TokenRefused("it is not valid yet; compare the clocks")
        if issued - LEEWAY > now:
            raise TokenRefused("it was issued in the future; compare the clocks")
        return expires


# What the parts say


def _grants(access: object) -> tuple[Mapping[str, frozenset[Action]], bool]:
    """What may be done, by repository, and whether the catalog may be read."""
    if not isinstance(access, list):
        raise TokenRefused("its claim access is missing, or not a list")
    if len(access) > MAX_SCOPES:
        raise TokenRefused(f"its claim access has {len(access)} entries, more than {MAX_SCOPES}")
    grants: dict[str, frozenset[Action]] = {}
    may_list = False
    for entry in access:
        kind, name, actions = _scope(entry)
        if kind == "repository":
            grants[name] = grants.get(name, frozenset()) | _actions(actions)
        elif (kind, name) == ("registry", "catalog"):
            may_list = may_list or _EVERYTHING in actions
    return grants, may_list


def _listing(catalog: object) -> Listing | None:
    """What a hub says of the catalog to whom it may not show all of it (no part of the spec)."""
    if catalog is None:
        return None
    if not isinstance(catalog, dict):
        raise TokenRefused("its claim catalog is not an object")
    return Listing(_names(catalog.get("namespaces")), _names(catalog.get("repositories")))


def _names(values: object) -> tuple[str, ...]:
    if isinstance(values, list) and all(isinstance(value, str) for value in values):
        return tuple(values)
    raise TokenRefused("its claim catalog does not list namespaces and repositories")


def _scope(entry: object) -> tuple[str, str, list[str]]:
    if not isinstance(entry, dict):
        raise TokenRefused("its claim access has an entry that is not an object")
    kind, name, actions = entry.get("type"), entry.get("name"), entry.get("actions")
    if not isinstance(kind, str) or not isinstance(name, str) or not isinstance(actions, list):
        raise TokenRefused("its claim access has an entry without type, name and actions")
    if not all(isinstance(action, str) for action in actions):
        raise TokenRefused("its claim access has an action that is not a text")
    if kind == "repository" and not is_repository_name(name):
        raise TokenRefused(f"its claim access names {name!a:.80}, which is no repository's name")
    return kind, name, actions


def _actions(names: list[str]) -> frozenset[Action]:
    if _EVERYTHING in names:
        return frozenset(Action)
    return frozenset(action for action in Action if action.value in names)
