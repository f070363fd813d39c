"""The keys that tokens may be signed with: from a JWKS (RFC 7517), or a bundle of certificates.

A key is found by the `kid` of a token: its own name in the JWKS, its thumbprint (RFC 7638), or the
id that libtrust, and with it the registries up to version 2, would give it.
"""

from __future__ import annotations

import json
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import Certificate, load_pem_x509_certificates
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

ALGORITHMS: Final = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "EdDSA")
MIN_RSA_BITS: Final = 2048
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA: Final = frozenset({"RS256", "RS384", "RS512"})
_NAMED_CURVES: Final = ("P-256", "P-384", "P-521", "Ed25519")
_KINDS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("e", "n")}
"""The types of keys, each with the members that RFC 7638 makes its thumbprint of."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key, and the algorithms that it may verify."""

    key: PublicKey
    algorithms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Keys:
    """Trusted keys by every id that a token may call them, and the roots of chains of them."""

    by_id: Mapping[str, TrustedKey] = field(default_factory=dict)
    roots: tuple[Certificate, ...] = ()

    def __or__(self, other: Keys) -> Keys:
        return Keys({**self.by_id, **other.by_id}, self.roots + other.roots)


def parse_jwks(text: str) -> Keys:
    """The keys of a JWKS that can verify signatures; others, such as those for encryption, are not.

    Raises `ValueError`, also where there is no such key, a private key, or one id for two keys.
    """
    try:
        entries = json.loads(text)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("not a JWKS: a JSON object with the member keys is needed") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("not a JWKS: keys must be a list of objects")
    found: dict[str, TrustedKey] = {}
    for index, entry in enumerate(entries):
        if _is_for_signatures(entry):
            _add_named(found, entry, f"keys.{index}")
    if not found:
        raise ValueError("there is no public key for signatures in it (EC, RSA or Ed25519)")
    return Keys(found)


def parse_certificates(text: str) -> Keys:
    """PEM certificates: their keys are trusted, and what chains to them.  Raises `ValueError`."""
    try:
        certificates = load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise ValueError(f"not a bundle of PEM certificates: {error}") from None
    found: dict[str, TrustedKey] = {}
    for certificate in certificates:
        key = trusted(certificate.public_key())
        found |= dict.fromkeys((thumbprint(key.key), libtrust_id(key.key)), key)
    return Keys(found, tuple(certificates))


def trusted(key: object, algorithm: str | None = None) -> TrustedKey:
    """`key` with all that it may verify, or with `algorithm` alone.  Raises `ValueError`."""
    match key:
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            possible = frozenset({_CURVES[key.curve.name]})
        case Ed25519PublicKey():
            possible = frozenset({"EdDSA"})
        case RSAPublicKey() if key.key_size >= MIN_RSA_BITS:
            possible = _RSA
        case RSAPublicKey():
            raise ValueError(f"an RSA key of {key.key_size} bits; {MIN_RSA_BITS} are needed")
        case _:
            raise ValueError("neither P-256, P-384, P-521, Ed25519 nor RSA")
    if algorithm is not None and algorithm not in possible:
        raise ValueError(f"the key cannot be used with its alg, {algorithm!a:.40}")
    return TrustedKey(key, frozenset({algorithm}) if algorithm else possible)


def thumbprint(key: PublicKey) -> str:
    """The id that RFC 7638 gives a key."""
    members = _members(key)
    wanted = {name: members[name] for name in ("kty", *_KINDS[members["kty"]])}
    canonical = json.dumps(wanted, sort_keys=True, separators=(",", ":"))
    return urlsafe_b64encode(sha256(canonical.encode()).digest()).rstrip(b"=").decode()


def libtrust_id(key: PublicKey) -> str:
    """The id that Docker's libtrust gives a key: `ABCD:EFGH:…`, twelve groups."""
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = b32encode(sha256(encoded).digest()[:30]).decode()
    return ":".join(text[at : at + 4] for at in range(0, len(text), 4))


def as_jwk(key: PublicKey, algorithm: str) -> dict[str, Any]:
    """A public key as an entry of a JWKS, for signatures of one algorithm."""
    members = _members(key)
    names = ("kty", *_KINDS[members["kty"]])
    described = {"kid": thumbprint(key), "alg": algorithm, "use": "sig"}
    return {**described, **{name: members[name] for name in names}}


def _members(key: PublicKey) -> dict[str, Any]:
    match key:
        case EllipticCurvePublicKey():
            return ECAlgorithm.to_jwk(key, as_dict=True)
        case Ed25519PublicKey():
            return OKPAlgorithm.to_jwk(key, as_dict=True)
        case RSAPublicKey():
            return RSAAlgorithm.to_jwk(key, as_dict=True)


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    """Whether it is of a kind, and for a use, that concerns us; it may be broken nevertheless."""
    operations = entry.get("key_ops", ["verify"])
    return (
        str(entry.get("kty")) in _KINDS
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and str(entry.get("crv", "P-256")) in _NAMED_CURVES
        and str(entry.get("alg", "RS256")) in ALGORITHMS
    )


def _add_named(found: dict[str, TrustedKey], entry: Mapping[str, Any], where: str) -> None:
    if "d" in entry:
        raise ValueError(f"{where}: a private key; publish only the public one")
    try:
        key = trusted(PyJWK({**entry, "alg": None}).key, entry.get("alg"))
    except (ValueError, PyJWTError) as error:
        raise ValueError(f"{where}: {error}") from None
    for name in _ids(entry, key):
        if found.setdefault(name, key) != key:
            raise ValueError(f"{where}: another key has the kid {name!a:.80}, too")


def _ids(entry: Mapping[str, Any], key: TrustedKey) -> Iterable[str]:
    own = entry.get("kid")
    if own is not None and not isinstance(own, str):
        raise ValueError("a kid must be text")
    return {thumbprint(key.key), libtrust_id(key.key), *([own] if own else [])}
