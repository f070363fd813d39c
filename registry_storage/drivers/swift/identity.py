"""Logging in: v1 (Swift's own), v2 and v3 (Keystone), each as a plug-in of keystoneauth.

A session holds the token, fetches a new one before the old expires or when told that it was
refused, and may be used from any thread.
"""

from __future__ import annotations

from keystoneauth1.identity import v2, v3
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session
from swiftclient.authv1 import PasswordPlugin  # type: ignore[import-untyped]

from registry_storage.drivers.swift.config import SwiftConfig

SERVICE = "object-store"


def session_of(config: SwiftConfig) -> Session:
    """A session that logs in when it is first used."""
    return Session(
        auth=_plugin(config),
        verify=not config.insecureskipverify,
        timeout=config.timeout,
        app_name="registry-storage",
    )


def _plugin(config: SwiftConfig) -> BaseAuthPlugin:
    if config.version == 1:
        plugin: BaseAuthPlugin = PasswordPlugin(config.authurl, config.username, config.password)
        return plugin
    if config.version == 2:
        return _keystone_v2(config)
    if config.applicationcredentialid:
        return _application_credential(config)
    return _keystone_v3(config)


def _keystone_v2(config: SwiftConfig) -> v2.Password:
    return v2.Password(
        _versioned(config.authurl, "v2.0"),
        username=config.username,
        password=config.password,
        tenant_name=config.tenant,
        tenant_id=config.tenantid,
        trust_id=config.trustid,
    )


def _keystone_v3(config: SwiftConfig) -> v3.Password:
    """A token has one scope: a trust brings its project with it."""
    named = config.trustid is None
    by_name = named and config.tenant is not None
    return v3.Password(
        _versioned(config.authurl, "v3"),
        password=str(config.password),
        username=config.username,
        user_domain_name=config.domain,
        user_domain_id=_user_domain_id(config),
        trust_id=config.trustid,
        project_name=config.tenant if named else None,
        project_id=config.tenantid if named else None,
        project_domain_name=(config.tenantdomain or config.domain) if by_name else None,
        project_domain_id=_project_domain_id(config) if by_name else None,
    )


def _application_credential(config: SwiftConfig) -> v3.ApplicationCredential:
    return v3.ApplicationCredential(
        _versioned(config.authurl, "v3"),
        application_credential_id=config.applicationcredentialid,
        application_credential_secret=str(config.applicationcredentialsecret),
    )


def _user_domain_id(config: SwiftConfig) -> str | None:
    """Keystone's own default has the id `default`."""
    return config.domainid or (None if config.domain else "default")


def _project_domain_id(config: SwiftConfig) -> str | None:
    if config.tenantdomainid or config.tenantdomain:
        return config.tenantdomainid
    return _user_domain_id(config)


def _versioned(url: str, version: str) -> str:
    """`url`, with the version at its end where it has none."""
    plain = url.rstrip("/")
    return plain if plain.rpartition("/")[2].startswith("v") else f"{plain}/{version}"
