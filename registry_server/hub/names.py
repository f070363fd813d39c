"""What accounts may be called: users and organisations, which share one list of names.

A name is the first component of repositories' names, so it has the grammar of one (OCI Distribution
Spec 1.1, "Pulling manifests"), from 2 to 64 characters.
"""

from __future__ import annotations

import re
from typing import Final

from registry_server.hub.errors import Invalid

PATTERN: Final = r"^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$"
MIN_LENGTH: Final = 2
MAX_LENGTH: Final = 64
_NAME: Final = re.compile(PATTERN)


def is_account_name(text: str) -> bool:
    """Whether a user, an organisation, a team or a robot may be called that."""
    return MIN_LENGTH <= len(text) <= MAX_LENGTH and _NAME.fullmatch(text) is not None


def parse_account_name(text: str) -> str:
    """`text`, if it is such a name, else raise `Invalid`."""
    if is_account_name(text):
        return text
    raise Invalid(
        f"{text[:MAX_LENGTH]!r} cannot be the name of an account: use lower-case letters and "
        f"digits, separated by '.', '_', '__' or '-', {MIN_LENGTH} to {MAX_LENGTH} characters"
    )
