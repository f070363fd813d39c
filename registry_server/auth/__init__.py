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
from registry_server.auth.key_sources import HubKeys, KeySource
from registry_server.auth.open import OpenAccess
from registry_server.auth.token_access import KEYS_PATH, TokenAccess
from registry_server.auth.users import UserAccess
from registry_server.limits import LoginLimit
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


def make_access(
    settings: AuthSettings, logins: LoginLimit, own_keys: KeySource | None = None
) -> Access:
    """The access control that the settings choose; not started.

    `logins` is how often they may fail.  `own_keys` are those of the hub in this process; None:
    other processes serve it.  Reads the files that the settings name; raises
    `ConfigurationInvalid`.
    """
    if settings.htpasswd is not None:
        return UserAccess(settings.htpasswd, logins)
    if settings.token is not None:
        return TokenAccess.of_server(settings.token)
    if settings.hub is not None:
        keys = own_keys or HubKeys(f"{settings.hub.url}{KEYS_PATH}")
        return TokenAccess.of_hub(settings.hub, keys)
    return OpenAccess()
