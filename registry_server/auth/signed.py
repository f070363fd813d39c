"""Signed JWTs (RFC 7515, RFC 7519), read strictly: what any token must be before it says anything.

Everything about a token is suspect until its signature is verified, and only keys of our own verify
it: what it says of keys (`jwk`, `jku`, `x5u`) is never looked at, and a chain of certificates
(`x5c`) counts only where it ends at one of ours.  Of JSON and base64 there is one reading; anything
that two readers could take for two things is refused.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from typing import Any, Final

from jwt import PyJWS
from jwt.exceptions import PyJWTError

from registry_server.auth.access import CredentialsRefused
from registry_server.auth.chains import ChainRefused, key_of_chain
from registry_server.auth.keys import Keys, TrustedKey

MAX_TOKEN_LENGTH: Final = 8192
MAX_TEXT: Final = 255
LEEWAY: Final = 30.0
"""Seconds that the clocks of whoever signs and this host may differ by."""


class TokenRefused(CredentialsRefused):
    """A token was sent that is not valid here; the message says why, in a line."""

    @property
    def told(self) -> str:
        return f"the token is not valid here: {self}"


class KeyUnknown(TokenRefused):
    """The token may be good, but none of our keys has the id that it names."""


def verify_signed(
    text: str,
    keys: Keys,
    algorithms: Collection[str],
    now: float,
    *,
    max_length: int = MAX_TOKEN_LENGTH,
    may_be_nameless: bool = False,
) -> Mapping[str, Any]:
    """The claims of a token that one of the keys has signed by one of the algorithms.

    None of the claims has been looked at.  `may_be_nameless` is whether a token need not name its
    key where there is only one.  Raises `TokenRefused`, `KeyUnknown`.
    """
    if len(text) > max_length:
        raise TokenRefused(f"it has {len(text)} bytes, more than {max_length}")
    parts = text.split(".")
    if len(parts) != 3:
        raise TokenRefused("it is no signed JWT")
    header = _parse(_decode(parts[0]))
    if may_be_nameless and "kid" not in header:
        header = {**header, "kid": _name_of_only(keys)}
    key = _key_for(header, keys, algorithms, now)
    _decode(parts[2])
    try:
        payload = PyJWS().decode(text, key.key, algorithms=[header["alg"]])
    except PyJWTError:
        raise TokenRefused("the signature is wrong") from None
    return _parse(payload)


# Claims


def text_claim(claims: Mapping[str, Any], name: str, *, minimum: int = 1) -> str:
    """A claim that must be a short text.  Raises `TokenRefused`."""
    value = claims.get(name)
    if isinstance(value, str) and value.isprintable() and minimum <= len(value) <= MAX_TEXT:
        return value
    raise TokenRefused(f"its claim {name} is missing, or not a short text")


def time_claim(claims: Mapping[str, Any], name: str) -> float:
    """A claim that must be a time, in seconds of the epoch.  Raises `TokenRefused`."""
    value = claims.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53:
        return float(value)
    raise TokenRefused(f"its claim {name} is missing, or not a time in seconds")


def audience_claim(claims: Mapping[str, Any]) -> list[str]:
    """Whom the token is for.  Raises `TokenRefused`."""
    value = claims.get("aud")
    values = [value] if isinstance(value, str) else value
    if isinstance(values, list) and values and all(isinstance(item, str) for item in values):
        return values
    raise TokenRefused("its claim aud is missing, or neither a text nor a list of texts")


# The header


def _key_for(
    header: Mapping[str, Any], keys: Keys, algorithms: Collection[str], now: float
) -> TrustedKey:
    _check_header(header)
    algorithm, name = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        allowed = ", ".join(sorted(algorithms))
        raise TokenRefused(f"it is signed with {algorithm!a:.40}; accepted: {allowed}")
    key = keys.by_id.get(name) if isinstance(name, str) else None
    if key is None and "x5c" in header:
        key = _key_of_chain(header["x5c"], keys, now)
    if key is None:
        raise KeyUnknown(_unknown(name, keys))
    if algorithm not in key.algorithms:
        raise TokenRefused(f"it is signed with {algorithm}, which is not what its key is for")
    return key


def _name_of_only(keys: Keys) -> str | None:
    """What the key is called, where there is one and no more."""
    is_only = len({id(key) for key in keys.by_id.values()}) == 1
    return next(iter(keys.by_id)) if is_only else None


def _key_of_chain(chain: object, keys: Keys, now: float) -> TrustedKey:
    try:
        return key_of_chain(chain, keys.roots, now)
    except ChainRefused as error:
        raise TokenRefused(str(error)) from None


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


# JSON and base64


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
