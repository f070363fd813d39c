"""Who asks, and what they may do."""

from __future__ import annotations

from registry_server.auth.access import (
    ANONYMOUS,
    Access,
    Action,
    CredentialsRefused,
    Decision,
    Scope,
    Subject,
    TooManyLogins,
)
from registry_server.auth.open import OpenAccess
from registry_server.auth.token_access import TokenAccess
from registry_server.auth.users import UserAccess
from registry_server.settings.model import AuthSettings

__all__ = [
    "ANONYMOUS",
    "Access",
    "Action",
    "CredentialsRefused",
    "Decision",
    "OpenAccess",
    "Scope",
    "Subject",
    "TokenAccess",
    "TooManyLogins",
    "UserAccess",
    "make_access",
]


def make_access(settings: AuthSettings) -> Access:
    """The access control that the settings choose; not started.

    Reads the files that they name; raises `ConfigurationInvalid`.
    """
    if settings.htpasswd is not None:
        return UserAccess(settings.htpasswd)
    if settings.token is not None:
        return TokenAccess(settings.token)
    return OpenAccess()
