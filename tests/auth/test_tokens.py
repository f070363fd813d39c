"""Which tokens are believed, and what they grant: an attack a test."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import time
from base64 import b32decode, b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_server.auth import Action, CredentialsRefused
from registry_server.auth.access import Listing
from registry_server.auth.keys import Keys, libtrust_id, parse_certificates, parse_jwks, thumbprint
from registry_server.auth.signed import LEEWAY, MAX_TOKEN_LENGTH, KeyUnknown, TokenRefused
from registry_server.auth.tokens import GRACE, MAX_SCOPES, Token, Verifier
from tests.services.tokens import ISSUER, SERVICE, Signer, access, encode, jwks

ALGORITHMS = frozenset({"ES256", "RS256", "EdDSA"})
VERIFIER = Verifier(ISSUER, SERVICE, ALGORITHMS)
SIGNER = Signer.new()
OTHER = Signer.new()
KEYS = parse_jwks(jwks(SIGNER))
PULL = access("team/app", "pull")
GOOD = SIGNER.token(PULL)


def verify(token: str, keys: Keys = KEYS, verifier: Verifier = VERIFIER) -> Token:
    return verifier.verify(token, keys)


def refused(token: str, keys: Keys = KEYS, verifier: Verifier = VERIFIER) -> str:
    """Why it is refused."""
    with pytest.raises(TokenRefused) as caught:
        verifier.verify(token, keys)
    assert isinstance(caught.value, CredentialsRefused)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever opens a connection or a file fails."""

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a token made the registry open something")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", forbidden)
        patched.setattr("builtins.open", forbidden)
        patched.setattr("os.open", forbidden)
        yield


# What is believed


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "RS256", "EdDSA"])
def test_a_token_of_every_algorithm_says_who_and_what(algorithm: str) -> None:
    signer = Signer.new(algorithm)
    verifier = replace(VERIFIER, algorithms=frozenset({algorithm}))
    token = verify(signer.token(PULL, access("b", "push")), parse_jwks(jwks(signer)), verifier)
    assert token.subject == "ann"
    assert token.grants == {"team/app": {Action.PULL}, "b": {Action.PUSH}}
    assert not verifier.is_late(token)


@pytest.mark.parametrize("name", [thumbprint, libtrust_id])
def test_a_key_is_known_by_its_thumbprint_and_its_libtrust_id(name: Any) -> None:
    keys = parse_jwks(json.dumps({"keys": [SIGNER.jwk | {"kid": "another name"}]}))
    verify(replace(SIGNER, kid=name(SIGNER.key.public_key())).token(PULL), keys)
    verify(replace(SIGNER, kid="another name").token(PULL), keys)


def test_the_thumbprint_is_that_of_the_rfc() -> None:
    """RFC 7638, section 3.1."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    keys = parse_jwks(json.dumps({"keys": [{"kty": "RSA", "e": "AQAB", "n": modulus}]}))
    assert "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" in keys.by_id


def test_a_libtrust_id_has_twelve_groups() -> None:
    """As `crypto.fingerprint` of libtrust: base32 of 240 bits of the SHA-256 of the DER."""
    groups = libtrust_id(SIGNER.key.public_key()).split(":")
    assert [len(group) for group in groups] == [4] * 12
    encoded = SIGNER.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert b32decode("".join(groups)) == hashlib.sha256(encoded).digest()[:30]


@pytest.mark.parametrize("audience", [SERVICE, [SERVICE], ["other", SERVICE]])
def test_the_audience_may_be_a_text_or_a_list(audience: object) -> None:
    verify(SIGNER.token(PULL, aud=audience))


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -20), ("nbf", 20.5), ("iat", 20)])
def test_clocks_may_differ_by_half_a_minute(claim: str, seconds: float) -> None:
    token = verify(SIGNER.token(PULL, **{claim: int(time.time()) + seconds}))
    assert not VERIFIER.is_late(token)


def test_scopes_of_one_repository_add_up_and_alien_ones_grant_nothing() -> None:
    token = verify(
        SIGNER.token(
            access("a", "pull"),
            access("a", "push", "fly"),
            access("b", "*"),
            access("a", "*", kind="registry"),
            access("a", "*", kind="repository(plugin)"),
            access("catalog", "*", kind="registry"),
        )
    )
    assert token.grants == {"a": {Action.PULL, Action.PUSH}, "b": set(Action)}
    assert token.may_list
    assert not verify(SIGNER.token(access("catalog", "pull", kind="registry"))).may_list
    assert not verify(SIGNER.token(access("catalog", "*"))).may_list


def test_a_hub_may_say_how_much_of_the_catalog_is_shown() -> None:
    seen = {"namespaces": ["team"], "repositories": ["other/app"]}
    token = verify(SIGNER.token(PULL, catalog=seen))
    assert token.listing == Listing(("team",), ("other/app",))
    assert not token.may_list
    assert verify(SIGNER.token(PULL)).listing is None


@pytest.mark.parametrize(
    "catalog",
    [
        "*",
        True,
        [],
        {},
        {"namespaces": ["team"]},
        {"namespaces": "team", "repositories": []},
        {"namespaces": [1], "repositories": []},
        {"namespaces": [], "repositories": [["a"]]},
    ],
)
def test_what_does_not_say_how_much_is_refused(catalog: object) -> None:
    with pytest.raises(TokenRefused, match="catalog"):
        verify(SIGNER.token(PULL, catalog=catalog))


# Algorithms and signatures


def hs256_with_our_public_key() -> str:
    header = {"typ": "JWT", "alg": "HS256", "kid": SIGNER.kid}
    signed = f"{encode(header)}.{encode(SIGNER.claims(PULL))}"
    secret = SIGNER.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return f"{signed}.{encode(hmac.digest(secret, signed.encode(), 'sha256'))}"


def unsigned(algorithm: object) -> str:
    return f"{encode({'alg': algorithm, 'kid': SIGNER.kid})}.{encode(SIGNER.claims(PULL))}."


@pytest.mark.parametrize(
    "token",
    [
        unsigned("none"),
        unsigned("None"),
        unsigned(["ES256", "none"]),
        unsigned(None),
        unsigned("ES256"),
        hs256_with_our_public_key(),
        SIGNER.sign(SIGNER.claims(PULL), alg=["ES256"]),
        SIGNER.sign(SIGNER.claims(PULL), alg="RS256"),
        SIGNER.sign(SIGNER.claims(PULL), alg="es256"),
        SIGNER.sign(SIGNER.claims(PULL), alg=None),
        Signer.new("ES384", SIGNER.kid).token(PULL),
        replace(Signer.new("ES384", SIGNER.kid), algorithm="ES256").token(PULL),
        replace(OTHER, kid=SIGNER.kid).token(PULL),
    ],
    ids=lambda token: token[:24],
)
def test_another_algorithm_or_key_is_refused(token: str) -> None:
    assert "signed with" in (reason := refused(token)) or "signature" in reason


def test_an_algorithm_that_is_not_configured_is_refused() -> None:
    signer = Signer.new("ES384")
    reason = refused(signer.token(PULL), parse_jwks(jwks(signer)))
    assert "ES384" in reason
    assert "accepted: ES256, EdDSA, RS256" in reason


def test_a_key_verifies_only_what_its_jwk_is_for() -> None:
    signer = Signer.new("RS256")
    keys = parse_jwks(jwks(signer))
    verifier = replace(VERIFIER, algorithms=frozenset({"RS256", "RS512"}))
    verify(signer.token(PULL), keys, verifier)
    assert "what its key is for" in refused(
        replace(signer, algorithm="RS512").token(PULL), keys, verifier
    )


# Keys that a token brings


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize(
    "header",
    [
        {"jwk": OTHER.jwk},
        {"jku": "http://127.0.0.1:1/jwks.json"},
        {"x5u": "http://127.0.0.1:1/chain.pem"},
        {"x5c": ["MIIB"]},
    ],
)
def test_keys_that_a_token_brings_are_not_looked_at(header: dict[str, Any]) -> None:
    """Neither to believe an attacker, nor to doubt a good signature."""
    assert "signature" in refused(replace(OTHER, kid=SIGNER.kid).sign(OTHER.claims(PULL), **header))
    assert "(kid)" in refused(OTHER.sign(OTHER.claims(PULL), **header)) or "x5c" in header
    verify(SIGNER.sign(SIGNER.claims(PULL), **header))


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize(
    "kid",
    ["../../../dev/null", "' OR 1=1 --", "http://127.0.0.1:1/", "\0", "é\u2028", "x" * 6000, "", 7],
)
def test_an_unknown_key_is_looked_up_and_no_more(kid: object) -> None:
    with pytest.raises(KeyUnknown) as caught:
        verify(SIGNER.sign({}, kid=kid))
    assert len(str(caught.value)) < 600
    assert str(caught.value).isascii()


@pytest.mark.parametrize("kid", [None, ["a"], {"a": 1}])
def test_a_key_must_be_named(kid: object) -> None:
    assert refused(SIGNER.sign({}, kid=kid)) == "it names no key (kid)"


def test_the_reason_names_the_keys_that_are_known() -> None:
    assert libtrust_id(SIGNER.key.public_key()) in refused(OTHER.token(PULL))


# Chains of certificates


def certificate(
    signer: Signer,
    subject: str,
    issuer: Signer,
    issuer_name: str,
    *,
    ca: bool,
    days: int = 1,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer_name)]))
        .public_key(signer.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .sign(issuer.key, hashes.SHA256())
    )


ROOT, MIDDLE, LEAF = Signer.new(), Signer.new("RS256"), Signer.new()
ROOT_CERTIFICATE = certificate(ROOT, "root", ROOT, "root", ca=True)
MIDDLE_CERTIFICATE = certificate(MIDDLE, "middle", ROOT, "root", ca=True)
LEAF_CERTIFICATE = certificate(LEAF, "leaf", MIDDLE, "middle", ca=False)
BUNDLE = parse_certificates(ROOT_CERTIFICATE.public_bytes(Encoding.PEM).decode())


def chain(*certificates: x509.Certificate) -> list[str]:
    return [b64encode(item.public_bytes(Encoding.DER)).decode() for item in certificates]


def chained(signer: Signer, *certificates: x509.Certificate) -> str:
    return signer.sign(signer.claims(PULL), kid=None, x5c=chain(*certificates))


def test_a_chain_counts_up_to_a_certificate_of_the_bundle() -> None:
    verify(chained(LEAF, LEAF_CERTIFICATE, MIDDLE_CERTIFICATE), BUNDLE)
    verify(chained(LEAF, LEAF_CERTIFICATE, MIDDLE_CERTIFICATE, ROOT_CERTIFICATE), BUNDLE)
    verify(chained(ROOT, ROOT_CERTIFICATE), BUNDLE)


@pytest.mark.parametrize("name", [thumbprint, libtrust_id])
def test_the_key_of_a_certificate_in_the_bundle_is_trusted_by_its_id(name: Any) -> None:
    verify(replace(ROOT, kid=name(ROOT.key.public_key())).token(PULL), BUNDLE)


def test_a_chain_to_elsewhere_is_refused() -> None:
    evil = Signer.new()
    same_name = certificate(evil, "root", evil, "root", ca=True)
    by_a_leaf = certificate(evil, "evil", LEAF, "leaf", ca=False)
    old = certificate(LEAF, "leaf", ROOT, "root", ca=False, days=-1)
    for token in (
        chained(evil, same_name),
        chained(evil, certificate(evil, "leaf", evil, "root", ca=False), same_name),
        chained(evil, by_a_leaf, LEAF_CERTIFICATE, MIDDLE_CERTIFICATE),
        chained(LEAF, LEAF_CERTIFICATE),
        chained(LEAF, old),
        SIGNER.sign({}, kid=None, x5c="MIIB"),
        SIGNER.sign({}, kid=None, x5c=[]),
        SIGNER.sign({}, kid=None, x5c=[7]),
        SIGNER.sign({}, kid=None, x5c=["MIIB"]),
        SIGNER.sign({}, kid=None, x5c=["MIIB"] * 6),
    ):
        assert "x5c" in refused(token, BUNDLE)
    assert "signature" in refused(chained(evil, LEAF_CERTIFICATE, MIDDLE_CERTIFICATE), BUNDLE)


def test_a_chain_is_nothing_without_a_bundle() -> None:
    assert "none are trusted" in refused(chained(LEAF, LEAF_CERTIFICATE, MIDDLE_CERTIFICATE))


# Headers


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"typ": "session+jwt"},
        {"typ": 7},
    ],
)
def test_what_changes_the_meaning_of_a_token_is_refused(header: dict[str, Any]) -> None:
    assert "its header" in (reason := refused(SIGNER.sign(SIGNER.claims(PULL), **header))) or (
        "its type" in reason
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        f"{GOOD}.x",
        "x.y.z.v.w",
        "[" * 4000 + ".a.b",
        f"{encode(b'[' * 4000)}.{encode({})}.AA",
        f"{encode(b'{')}.{encode({})}.AA",
        f"{encode([])}.{encode({})}.AA",
        f"{encode(bytes([0xFF]))}.{encode({})}.AA",
        f"{encode(b'7' * 5000)}.{encode({})}.AA",
        "é.ü.ö",
        "\ud800.a.b",
    ],
    ids=lambda token: token[:10].encode("ascii", "replace").decode(),
)
def test_what_is_no_token_is_refused(token: str) -> None:
    refused(token)


def test_a_token_longer_than_8_kib_is_refused() -> None:
    token = SIGNER.token(PULL, padding="x" * 6144)
    assert len(token) > MAX_TOKEN_LENGTH
    assert "8192" in refused(token)


# Claims

NOW = int(time.time())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        *[({name: None}, name) for name in ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")],
        ({"access": None}, "access"),
        ({"exp": NOW - GRACE - LEEWAY - 1}, "expired"),
        ({"exp": str(NOW + 300)}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": [NOW + 300]}, "exp"),
        ({"exp": -1}, "exp"),
        ({"exp": 10**400}, "exp"),
        ({"nbf": NOW + 7200}, "not valid yet"),
        ({"nbf": str(NOW)}, "nbf"),
        ({"iat": NOW + 7200}, "in the future"),
        ({"iat": None}, "iat"),
        ({"iss": "another"}, "issuer"),
        ({"iss": ISSUER + " "}, "issuer"),
        ({"iss": ISSUER[:-1]}, "issuer"),
        ({"iss": [ISSUER]}, "iss"),
        ({"aud": "another"}, "audience"),
        ({"aud": SERVICE[:-1]}, "audience"),
        ({"aud": f"{SERVICE}.evil.example"}, "audience"),
        ({"aud": f"{SERVICE} other"}, "audience"),
        ({"aud": []}, "aud"),
        ({"aud": [SERVICE, 7]}, "aud"),
        ({"aud": {SERVICE: 1}}, "aud"),
        ({"aud": "registry-web"}, "audience"),
        ({"sub": 7}, "sub"),
        ({"sub": "a\nb"}, "sub"),
        ({"sub": "\ud800"}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"jti": ""}, "jti"),
        ({"access": {}}, "access"),
        ({"access": ["repository:a:pull"]}, "access"),
        ({"access": [{"type": "repository", "name": "a"}]}, "access"),
        ({"access": [{"type": "repository", "name": "a", "actions": "pull"}]}, "access"),
        ({"access": [{"type": "repository", "name": "a", "actions": [7]}]}, "access"),
        ({"access": [{"type": 1, "name": "a", "actions": []}]}, "access"),
        ({"access": [access("../etc", "pull")]}, "access"),
        ({"access": [access("team/*", "pull")]}, "access"),
        ({"access": [access("A", "pull")]}, "access"),
        ({"access": [access("", "pull")]}, "access"),
    ],
)
def test_every_claim_is_required_and_of_its_type(changed: dict[str, Any], reason: str) -> None:
    assert reason in refused(SIGNER.token(PULL, **changed))


def test_at_most_100_scopes() -> None:
    scopes = [access(f"r{n}", "pull") for n in range(MAX_SCOPES)]
    assert len(verify(SIGNER.token(*scopes)).grants) == MAX_SCOPES
    assert "100" in refused(SIGNER.token(*scopes, access("a", "pull")))


@pytest.mark.parametrize("name", ["sub", "exp", "access", "aud"])
def test_a_claim_that_is_there_twice_is_refused(name: str) -> None:
    claims = SIGNER.claims(PULL)
    twice = json.dumps(claims)[:-1] + f', "{name}": {json.dumps(claims[name])}}}'
    assert "plain JSON" in refused(SIGNER.sign(twice.encode()))
    nested = json.dumps(claims).replace('"actions"', '"actions": ["push"], "actions"')
    assert "plain JSON" in refused(SIGNER.sign(nested.encode()))


def test_a_header_that_is_there_twice_is_refused() -> None:
    header = f'{{"alg": "ES256", "kid": "{SIGNER.kid}", "alg": "ES256"}}'
    assert "plain JSON" in refused(SIGNER.sign_parts(header.encode(), SIGNER.claims(PULL)))


@pytest.mark.parametrize("payload", [b"", b"[]", b"NaN", b'{"exp": NaN}', b"\xff", b"{}{}"])
def test_claims_that_are_no_object_are_refused(payload: bytes) -> None:
    refused(SIGNER.sign(payload))


# After its time


def test_a_token_is_late_for_an_hour_and_then_refused() -> None:
    now = time.time()
    token = SIGNER.token(PULL, exp=int(now))
    for later, is_late in [(0, False), (LEEWAY - 2, False), (LEEWAY + 2, True), (GRACE, True)]:
        verifier = replace(VERIFIER, clock=lambda later=later: now + later)
        assert verifier.is_late(verify(token, verifier=verifier)) is is_late
    verifier = replace(VERIFIER, clock=lambda: now + GRACE + LEEWAY + 2)
    assert refused(token, verifier=verifier) == "it has expired"


# Any change at all

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é"


@given(
    at=st.integers(0, len(GOOD)),
    length=st.integers(0, 3),
    new=st.text(st.sampled_from(_ALPHABET), max_size=3),
)
@settings(max_examples=400)
def test_any_change_of_a_token_is_refused(at: int, length: int, new: str) -> None:
    changed = GOOD[:at] + new + GOOD[at + length :]
    if changed != GOOD:
        refused(changed)


@given(st.text(max_size=60))
@settings(max_examples=100)
def test_any_text_is_refused(text: str) -> None:
    refused(text)


def test_every_other_last_character_is_refused() -> None:
    """The last character of a signature has bits that mean nothing; they must be as written."""
    for character in _ALPHABET[:64]:
        if character != GOOD[-1]:
            refused(GOOD[:-1] + character)


# Sets of keys


def test_keys_of_other_kinds_are_left_out() -> None:
    others: list[dict[str, Any]] = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {**Signer.new("RS256").jwk, "use": "enc", "kid": "enc"},
        {**SIGNER.jwk, "key_ops": ["sign"], "kid": "ops"},
        {"kty": "OKP", "crv": "X25519", "x": "AA", "kid": "x"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "k1"},
        {**Signer.new("RS256").jwk, "alg": "PS256", "kid": "pss"},
        {"kty": ["EC"]},
        {},
    ]
    keys = parse_jwks(json.dumps({"keys": [*others, SIGNER.jwk]}))
    names = {SIGNER.kid, libtrust_id(SIGNER.key.public_key())}
    assert set(keys.by_id) == names
    with pytest.raises(ValueError, match="no public key for signatures"):
        parse_jwks(json.dumps({"keys": others}))


def small_rsa() -> dict[str, Any]:
    return Signer(rsa.generate_private_key(65537, 1024), "RS256", "small").jwk


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a JWKS"),
        ("[]", "not a JWKS"),
        ('{"keys": 1}', "not a JWKS"),
        ('{"keys": [1]}', "not a JWKS"),
        ("[" * 5000, "not a JWKS"),
        (json.dumps({"keys": [SIGNER.jwk | {"d": "AA"}]}), "keys.0: a private key"),
        (json.dumps({"keys": [SIGNER.jwk | {"x": "AA"}]}), "keys.0: "),
        (json.dumps({"keys": [SIGNER.jwk | {"kid": 7}]}), "a kid must be text"),
        (json.dumps({"keys": [SIGNER.jwk | {"alg": "ES384"}]}), "keys.0: the key cannot be used"),
        (json.dumps({"keys": [small_rsa()]}), "keys.0: an RSA key of 1024 bits; 2048 are needed"),
        (
            json.dumps({"keys": [SIGNER.jwk, OTHER.jwk | {"kid": SIGNER.kid}]}),
            "keys.1: another key has the kid",
        ),
    ],
)
def test_a_broken_set_of_keys_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_jwks(text)


def test_a_bundle_must_hold_certificates() -> None:
    with pytest.raises(ValueError, match="not a bundle of PEM certificates"):
        parse_certificates("nothing")
    odd = Signer(ec.generate_private_key(ec.SECP256K1()), "ES256", "odd")
    text = certificate(odd, "odd", odd, "odd", ca=True).public_bytes(Encoding.PEM).decode()
    with pytest.raises(ValueError, match="neither P-256"):
        parse_certificates(text)


def test_the_keys_of_two_sources_are_one_set() -> None:
    both = KEYS | BUNDLE
    assert set(both.by_id) == {*KEYS.by_id, *BUNDLE.by_id}
    assert both.roots == BUNDLE.roots
