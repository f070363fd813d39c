"""The `Authorization: Basic` header (RFC 7617), read strictly."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field

from registry_server.auth.access import CredentialsRefused

MAX_HEADER_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password, as sent."""

    name: str
    password: str = field(repr=False)

    @property
    def are_empty(self) -> bool:
        """Neither was given: clients without a login answer a challenge so."""
        return not self.name and not self.password


def parse_basic(authorization: str) -> Credentials:
    """The credentials in the value of an `Authorization` header.  Raises `CredentialsRefused`."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic" or len(authorization) > MAX_HEADER_LENGTH:
        raise CredentialsRefused("the Authorization header is not of the scheme Basic")
    try:
        text = b64decode(token, validate=True).decode("utf-8")
    except ValueError:
        raise CredentialsRefused("the Authorization header is not base64 of UTF-8") from None
    name, colon, password = text.partition(":")
    if not colon or not _is_plain(name) or not _is_plain(password):
        raise CredentialsRefused("the Authorization header has no name and password")
    return Credentials(name, password)


def _is_plain(text: str) -> bool:
    """Without control characters, which RFC 7617 forbids and bcrypt would stumble over."""
    return not any(character < " " or character == "\x7f" for character in text)
