"""The configuration: a YAML file, `REGISTRY_…` variables over it, all checked at the start."""

from __future__ import annotations

from registry_server.settings.load import Configuration, load
from registry_server.settings.model import (
    AuthSettings,
    HtpasswdSettings,
    HTTPSettings,
    LogSettings,
    Role,
    Settings,
    StorageSettings,
    TLSSettings,
)
from registry_server.settings.values import Address, Secret

__all__ = [
    "Address",
    "AuthSettings",
    "Configuration",
    "HTTPSettings",
    "HtpasswdSettings",
    "LogSettings",
    "Role",
    "Secret",
    "Settings",
    "StorageSettings",
    "TLSSettings",
    "load",
]
