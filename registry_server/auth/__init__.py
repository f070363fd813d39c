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
from registry_server.auth.users import UserAccess
from registry_server.settings.model import AuthSettings

__all__ = [
    "ANONYMOUS",
    "Access",
    "Action",
    "CredentialsRefused",
    "Decision",
    "OpenAccess",
    "Subject",
    "TooManyLogins",
    "UserAccess",
    "make_access",
]


def make_access(settings: AuthSettings) -> Access:
    """The access control that the settings choose; not started.

    Reads the files that they name; raises `ConfigurationInvalid`.
    """
    return UserAccess(settings.htpasswd) if settings.htpasswd else OpenAccess()
