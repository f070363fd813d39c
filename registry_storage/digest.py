"""Digests (OCI Image Spec 1.1, "Digests") and the hashing that survives a change of process."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from registry_storage.errors import DigestInvalid

ALGORITHMS: Final = ("sha256", "sha512")
"""The registered algorithms of the OCI image spec, each as hashlib names it."""

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")


class Digest(str):
    """`algorithm:hex`, known to be well formed.  A string, so that it goes anywhere one goes."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Return `text` as a digest; raise `DigestInvalid` if it is not one that we serve."""
        if _DIGEST.fullmatch(text):
            return cls(text)
        raise DigestInvalid(
            f"{text[:150]!r} is not a digest: use 'sha256:' and 64, or 'sha512:' and 128, "
            "lower-case hexadecimal digits"
        )

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, algorithm: str = "sha256") -> Digest:
        """The digest of `data`, hashed in one go.  Unknown algorithm: `DigestInvalid`."""
        return cls(f"{parse_algorithm(algorithm)}:{hashlib.new(algorithm, data).hexdigest()}")

    @property
    def algorithm(self) -> str:
        """`sha256` or `sha512`."""
        return self[:6]

    @property
    def hex(self) -> str:
        """The hexadecimal digits."""
        return self[7:]


def parse_algorithm(text: str) -> str:
    """Return `text` if it names an algorithm we serve, else raise `DigestInvalid`."""
    if text in ALGORITHMS:
        return text
    raise DigestInvalid(
        f"{text[:50]!r} is not a digest algorithm: use one of {', '.join(ALGORITHMS)}"
    )
