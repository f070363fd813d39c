"""The hub, open: its database, the store, and every service over them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from registry_server.hub.accounts import Accounts, open_accounts
from registry_server.hub.accounts.logins import Logins
from registry_server.hub.audit import AuditLog
from registry_server.hub.database import open_database
from registry_server.hub.login.directory import LdapDirectory
from registry_server.hub.login.provider import Provider
from registry_server.hub.organisations.holdings import Holdings, Organisations
from registry_server.hub.organisations.repositories import Repositories
from registry_server.hub.organisations.spaces import Spaces
from registry_server.hub.rights import Rights
from registry_server.hub.tokens.issuing import Issuer
from registry_server.hub.tokens.keys import OwnKeys, SigningKeys
from registry_server.hub.tokens.refreshing import RefreshTokens
from registry_server.limits import Limits, open_limits
from registry_server.settings import Settings
from registry_server.settings.hub import HubSettings
from registry_server.settings.model import HTTPSettings
from registry_storage import Registry
from registry_storage.databases import Database


@dataclass(frozen=True, slots=True)
class Hub:
    """What the hub's routes and commands work with."""

    settings: HubSettings
    http: HTTPSettings
    database: Database
    registry: Registry
    accounts: Accounts
    logins: Logins
    rights: Rights
    organisations: Organisations
    repositories: Repositories
    spaces: Spaces
    keys: SigningKeys
    issuer: Issuer
    refresh_tokens: RefreshTokens
    audit: AuditLog
    limits: Limits
    provider: Provider | None
    """Where people may log in instead; None: nowhere."""

    def own_keys(self) -> OwnKeys:
        """The keys, for a registry half in the same process."""
        return OwnKeys(self.keys)


async def open_hub(settings: Settings, registry: Registry, resources: AsyncExitStack) -> Hub:
    """Open it over an open store; what has to be closed again goes to `resources`.

    Raises `ConfigurationInvalid`, `CatalogError`, `CatalogUnavailable`, `NoSpace`.
    """
    hub = settings.auth.hub
    assert hub is not None
    database = await open_database(settings)
    resources.push_async_callback(database.close)
    keys = SigningKeys(database, hub.tokens)
    resources.push_async_callback(keys.close)
    await keys.start()
    limits = open_limits(settings, resources)
    rights = Rights(database, registry)
    holdings = Holdings.over(database, registry)
    accounts = open_accounts(
        database,
        hub,
        limits.logins,
        resources,
        holdings.repositories.refuse_heir,
        _directories(hub, resources),
    )
    return Hub(
        settings=hub,
        http=settings.http,
        database=database,
        registry=registry,
        accounts=accounts,
        logins=accounts.logins,
        rights=rights,
        organisations=holdings.organisations,
        repositories=holdings.repositories,
        spaces=holdings.spaces,
        keys=keys,
        issuer=Issuer(hub, keys, rights),
        refresh_tokens=RefreshTokens(database, accounts.logins, hub.tokens),
        audit=AuditLog(database, registry, hub.audit),
        limits=limits,
        provider=_provider(hub, resources),
    )


def _provider(settings: HubSettings, resources: AsyncExitStack) -> Provider | None:
    if settings.oidc is None:
        return None
    provider = Provider(settings.oidc)
    resources.push_async_callback(provider.close)
    return provider


def _directories(settings: HubSettings, resources: AsyncExitStack) -> list[LdapDirectory]:
    if settings.ldap is None:
        return []
    directory = LdapDirectory(settings.ldap)
    resources.callback(directory.close)
    return [directory]
