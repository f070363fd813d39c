"""What is looked at before anything listens: who could get in, and the files that are named."""

from __future__ import annotations

from collections.abc import Iterator

from registry_server.auth import make_access
from registry_server.limits import Limits
from registry_server.settings import Role, Settings
from registry_server.settings.hub import HubSettings
from registry_server.settings.tls import tls_context
from registry_storage.errors import ConfigurationInvalid


def check_exposure(settings: Settings, *, insecure_open: bool) -> None:
    """Raises `ConfigurationInvalid` where strangers could get in and nobody said that they may."""
    if not insecure_open and (problem := _exposure(settings)):
        raise ConfigurationInvalid(problem)


def check_role(settings: Settings) -> None:
    """Raises `ConfigurationInvalid` where half of the server needs more settings than there are."""
    hub = settings.auth.hub
    if settings.role is Role.HUB and hub is None:
        raise ConfigurationInvalid(
            "role: there is no hub to serve; set auth.hub (REGISTRY_AUTH=hub)"
        )
    if settings.role is Role.REGISTRY and hub is not None and hub.url is None:
        raise ConfigurationInvalid(
            "auth.hub.url: required for role registry: where clients get tokens, and this process "
            "the keys that they are signed with"
        )


def check_files(settings: Settings) -> None:
    """Raises `ConfigurationInvalid` for a certificate, users, rules or keys that are wrong."""
    tls_context(settings.http.tls)
    make_access(settings.auth, Limits.of_process().logins)
    if settings.auth.hub is not None:
        _check_files_of_hub(settings.auth.hub)


def _check_files_of_hub(hub: HubSettings) -> None:
    from registry_server.hub.accounts.passwords import refused_passwords
    from registry_server.hub.login.directory import LdapDirectory

    refused_passwords(hub.passwords)
    if hub.ldap is not None:
        LdapDirectory(hub.ldap).close()


def remarks(settings: Settings) -> Iterator[str]:
    """What is not wrong, but may not be meant."""
    if problem := _exposure(settings):
        yield problem
    if settings.auth.htpasswd and not (settings.http.tls.certificate or _is_local(settings)):
        yield "http.tls: passwords cross the network in clear unless a proxy encrypts; set it"
    if settings.auth.hub and not (settings.http.tls.certificate or _is_local(settings)):
        yield "http.tls: passwords cross the network in clear unless a proxy encrypts; set it"
    if settings.auth.token and not (settings.http.tls.certificate or _is_local(settings)):
        yield "http.tls: tokens cross the network in clear unless a proxy encrypts; set it"
    if settings.auth.hub is not None:
        yield from _elsewhere(settings.auth.hub)


def _elsewhere(hub: HubSettings) -> Iterator[str]:
    """What would be sent in clear to those who know people in the hub's place."""
    if hub.oidc is not None and hub.oidc.issuer.startswith("http:"):
        yield "auth.hub.oidc.issuer: whoever is on the way to the provider can log in as anybody"
    if hub.ldap is not None and hub.ldap.url.startswith("ldap:") and not hub.ldap.starttls:
        yield "auth.hub.ldap.starttls: passwords cross the network to the directory in clear"


def _exposure(settings: Settings) -> str | None:
    if not settings.auth.is_open or _is_local(settings):
        return None
    return (
        f"http.addr: {settings.http.addr} can be reached from other machines, and nobody has to "
        "log in; set auth.htpasswd, auth.hub or auth.token, listen on 127.0.0.1, or insist with "
        "--insecure-open"
    )


def _is_local(settings: Settings) -> bool:
    return settings.http.addr.is_loopback
