"""Who asks, and what they may do."""

from __future__ import annotations

from registry_server.auth.access import (
    ANONYMOUS,
    Access,
    Action,
    CredentialsRefused,
    Decision,
    Subject,
    TooManyLogins,
)
from registry_server.auth.open import OpenAccess

__all__ = [
    "ANONYMOUS",
    "Access",
    "Action",
    "CredentialsRefused",
    "Decision",
    "OpenAccess",
    "Subject",
    "TooManyLogins",
]
