"""Chains of certificates (`x5c`, RFC 7515 section 4.1.6), up to certificates that are trusted."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    ExtensionType,
    KeyUsage,
    load_der_x509_certificate,
)
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from registry_server.auth.keys import TrustedKey, trusted

MAX_CHAIN: Final = 5


class ChainRefused(ValueError):
    """Why a chain proves nothing, in a line."""


def key_of_chain(chain: object, roots: Sequence[Certificate], now: float) -> TrustedKey:
    """The key of the chain's first certificate.  `now` is in seconds of the epoch.

    Raises `ChainRefused` unless the chain leads to one of `roots`, or its first is one of them.
    """
    if not roots:
        raise ChainRefused("it brings certificates (x5c), and none are trusted here")
    leaf, *others = _certificates(chain)
    moment = datetime.fromtimestamp(now, UTC)
    if leaf in roots:
        if not leaf.not_valid_before_utc <= moment <= leaf.not_valid_after_utc:
            raise ChainRefused("the certificate that it brings (x5c) is not valid now")
    else:
        _verify(leaf, others, roots, moment)
    try:
        return trusted(leaf.public_key())
    except ValueError as error:
        raise ChainRefused(f"the key that it brings (x5c) is not usable: {error}") from None


def _certificates(chain: object) -> list[Certificate]:
    if not isinstance(chain, list) or not 1 <= len(chain) <= MAX_CHAIN:
        raise ChainRefused(f"its x5c is not a list of 1 to {MAX_CHAIN} certificates")
    try:
        return [load_der_x509_certificate(b64decode(item, validate=True)) for item in chain]
    except (ValueError, TypeError):
        raise ChainRefused("its x5c has an entry that is not a certificate") from None


def _verify(
    leaf: Certificate, others: list[Certificate], roots: Sequence[Certificate], moment: datetime
) -> None:
    verifier = (
        PolicyBuilder()
        .store(Store(list(roots)))
        .time(moment)
        .max_chain_depth(MAX_CHAIN)
        .extension_policies(ca_policy=_AUTHORITY, ee_policy=ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, others)
    except VerificationError:
        raise ChainRefused("its x5c does not lead to a certificate that is trusted here") from None


def _is_authority(_policy: Any, _certificate: Certificate, extension: ExtensionType) -> None:
    assert isinstance(extension, BasicConstraints)
    if not extension.ca:
        raise ValueError("not an authority")


def _signs_certificates(
    _policy: Any, _certificate: Certificate, extension: ExtensionType | None
) -> None:
    if isinstance(extension, KeyUsage) and not extension.key_cert_sign:
        raise ValueError("not for signing certificates")


_AUTHORITY: Final = (
    ExtensionPolicy.permit_all()
    .require_present(BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    .may_be_present(KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
)
