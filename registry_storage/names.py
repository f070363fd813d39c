"""The grammar of names, tags and references (OCI Distribution Spec 1.1, "Pulling manifests").

Whatever comes from outside passes one of these functions once; beyond them a name is known to be
safe in a path, a header and a query.
"""

from __future__ import annotations

import re

from registry_storage.digest import Digest
from registry_storage.errors import NameInvalid, TagInvalid

MAX_NAME_LENGTH = 255
MAX_TAG_LENGTH = 128

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


def is_repository_name(text: str) -> bool:
    """Whether `text` is a repository name of the spec, at most 255 characters long."""
    return len(text) <= MAX_NAME_LENGTH and _NAME.fullmatch(text) is not None


def namespace_of(name: str) -> str:
    """The first component of a repository's name that has several; "", nobody's, of any other."""
    first, slash, _ = name.partition("/")
    return first if slash else ""


def is_tag(text: str) -> bool:
    """Whether `text` is a tag of the spec, at most 128 characters long."""
    return _TAG.fullmatch(text) is not None


def parse_repository_name(text: str) -> str:
    """Return `text` if it is a repository name, else raise `NameInvalid`."""
    if is_repository_name(text):
        return text
    raise NameInvalid(
        f"{text[:MAX_NAME_LENGTH]!r} is not a repository name: use lower-case letters and digits, "
        f"separated by '.', '_', '__', '-' or '/', at most {MAX_NAME_LENGTH} characters"
    )


def parse_tag(text: str) -> str:
    """Return `text` if it is a tag, else raise `TagInvalid`."""
    if is_tag(text):
        return text
    raise TagInvalid(
        f"{text[:MAX_TAG_LENGTH]!r} is not a tag: use letters, digits, '_', '.' and '-', "
        f"not beginning with '.' or '-', at most {MAX_TAG_LENGTH} characters"
    )


def parse_reference(text: str) -> Digest | str:
    """Return a `Digest` if `text` has the shape of one (it has a colon), else the tag.

    Raises `DigestInvalid` or `TagInvalid`.
    """
    if ":" in text:
        return Digest.parse(text)
    return parse_tag(text)
