"""Bearer tokens: signed by a token server, verified here, offline (Docker's token specification).

A token is a signed JWT (RFC 7515, RFC 7519) whose claim `access` lists what its holder may do:

    [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}]

Everything about it is suspect until its signature is verified, and only keys of our own verify it:
what a token says of keys (`jwk`, `jku`, `x5u`) is never looked at, and a chain of certificates
(`x5c`) counts only where it ends at one of ours.  Of JSON and base64 there is one reading; anything
that two readers could take for two things is refused.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jwt import PyJWS
from jwt.exceptions import PyJWTError

from registry_server.auth.access import Action, CredentialsRefused, Listing
from registry_server.auth.chains import ChainRefused, key_of_chain
from registry_server.auth.keys import Keys, TrustedKey
from registry_storage.names import is_repository_name

MAX_TOKEN_LENGTH: Final = 8192
MAX_SCOPES: Final = 100
MAX_TEXT: Final = 255
LEEWAY: Final = 30.0
"""Seconds that the clocks of the token server and this host may differ by."""
GRACE: Final = 3600.0
"""Seconds for which an upload under way outlives its token."""

_EVERYTHING: Final = "*"
_TIMES: Final = ("exp", "nbf", "iat")


class TokenRefused(CredentialsRefused):
    """A token was sent that is not valid here; the message says why, in a line."""

    @property
    def told(self) -> str:
        return f"the token is not valid here: {self}"


class KeyUnknown(TokenRefused):
    """The token may be good, but none of our keys has the id that it names."""


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
        if len(text) > MAX_TOKEN_LENGTH:
            raise TokenRefused(f"it has {len(text)} bytes, more than {MAX_TOKEN_LENGTH}")
        parts = text.split(".")
        if len(parts) != 3:
            raise TokenRefused("it is no signed JWT")
        header = _parse(_decode(parts[0]))
        key = self._key_for(header, keys)
        _decode(parts[2])
        try:
            payload = PyJWS().decode(text, key.key, algorithms=[header["alg"]])
        except PyJWTError:
            raise TokenRefused("the signature is wrong") from None
        return self._read(_parse(payload))

    def is_late(self, token: Token) -> bool:
        """Whether it has expired."""
        return token.expires + LEEWAY <= self.clock()

    # The header

    def _key_for(self, header: Mapping[str, Any], keys: Keys) -> TrustedKey:
        _check_header(header)
        algorithm, name = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self.algorithms:
            allowed = ", ".join(sorted(self.algorithms))
            raise TokenRefused(f"it is signed with {algorithm!a:.40}; accepted: {allowed}")
        key = keys.by_id.get(name) if isinstance(name, str) else None
        if key is None and "x5c" in header:
            key = self._key_of_chain(header["x5c"], keys)
        if key is None:
            raise KeyUnknown(_unknown(name, keys))
        if algorithm not in key.algorithms:
            raise TokenRefused(f"it is signed with {algorithm}, which is not what its key is for")
        return key

    def _key_of_chain(self, chain: object, keys: Keys) -> TrustedKey:
        try:
            return key_of_chain(chain, keys.roots, self.clock())
        except ChainRefused as error:
            raise TokenRefused(str(error)) from None

    # The claims

    def _read(self, claims: Mapping[str, Any]) -> Token:
        _text(claims, "jti")
        if _text(claims, "iss") != self.issuer:
            raise TokenRefused(f"its issuer is {claims['iss']!a:.80}, not {self.issuer!a:.80}")
        if self.service not in _audience(claims):
            raise TokenRefused(f"its audience is not this service, {self.service!a:.80}")
        expires = self._check_times(claims)
        grants, may_list = _grants(claims.get("access"))
        listing = _listing(claims.get("catalog"))
        return Token(_text(claims, "sub", minimum=0), expires, grants, may_list, listing)

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        expires, begins, issued = (_time(claims, name) for name in _TIMES)
        now = self.clock()
        if expires + LEEWAY + GRACE <= now:
            raise TokenRefused("it has expired")
        if begins - LEEWAY > now:
            raise TokenRefused("it is not valid yet; compare the clocks")
        if issued - LEEWAY > now:
            raise TokenRefused("it was issued in the future; compare the clocks")
        return expires


# Reading strictly


def _decode(part: str) -> bytes:
    """Unpadded base64url, in the one spelling that encoding it again gives."""
    try:
        data = urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))
    except ValueError:
        raise TokenRefused("a part of it is not base64url") from None
    if urlsafe_b64encode(data).rstrip(b"=").decode() != part:
        raise TokenRefused("a part of it is not in base64url as it is written")
    return data


def _parse(data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise TokenRefused("a part of it is not plain JSON") from None
    if not isinstance(value, dict):
        raise TokenRefused("a part of it is not a JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# What the parts say


def _check_header(header: Mapping[str, Any]) -> None:
    for name in ("crit", "b64", "zip", "enc"):
        if name in header:
            raise TokenRefused(f"its header has {name}, which is not accepted")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise TokenRefused(f"its type is {kind!a:.40}, not JWT")


def _unknown(name: object, keys: Keys) -> str:
    if not isinstance(name, str):
        return "it names no key (kid)"
    known = ", ".join(sorted(keys.by_id)[:6]) or "none"
    return f"no key here is called {name!a:.80} (kid); known: {known}"


def _text(claims: Mapping[str, Any], name: str, *, minimum: int = 1) -> str:
    value = claims.get(name)
    if isinstance(value, str) and value.isprintable() and minimum <= len(value) <= MAX_TEXT:
        return value
    raise TokenRefused(f"its claim {name} is missing, or not a short text")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53:
        return float(value)
    raise TokenRefused(f"its claim {name} is missing, or not a time in seconds")


def _audience(claims: Mapping[str, Any]) -> list[str]:
    value = claims.get("aud")
    values = [value] if isinstance(value, str) else value
    if isinstance(values, list) and values and all(isinstance(item, str) for item in values):
        return values
    raise TokenRefused("its claim aud is missing, or neither a text nor a list of texts")


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
