"""The settings of the hub: accounts, organisations and roles, kept by this server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from registry_server.settings.section import DAY, Section, section
from registry_server.settings.values import Duration, FilePath, PublicURL, Realm, Secret

Groups = Mapping[str, Mapping[str, Literal["read", "write", "maintain", "admin"]]]


class HubTokenSettings(Section):
    algorithm: Literal["ES256", "EdDSA", "RS256"] = Field(
        "ES256", description="How the hub signs; another one holds from the next key on."
    )
    lifetime: Duration = Field(
        300.0, ge=60, le=3600, description="How long a token of the registry holds."
    )
    refresh: Duration = Field(
        90 * DAY, gt=0, description="How long `docker login` holds without being used."
    )
    rotation: Duration = Field(90 * DAY, ge=DAY, description="How long a key signs.")


class SessionSettings(Section):
    idle: Duration = Field(1800.0, gt=0, description="A session ends when unused for so long.")
    lifetime: Duration = Field(12 * 3600.0, gt=0, description="… and in any case after so long.")


class PasswordSettings(Section):
    minlength: int = Field(12, ge=8, le=128, description="The least characters of a password.")
    refused: FilePath | None = Field(
        None, description="A file of passwords that nobody may choose, one a line."
    )


class AuditSettings(Section):
    retention: Duration = Field(
        365 * DAY, gt=0, description="How long entries of the audit log are kept."
    )


class RateSettings(Section):
    """How many of each may come a minute; more are answered 429 with `Retry-After`."""

    logins: int = Field(20, ge=1, description="Failed logins a minute, by address and name.")
    tokens: int = Field(600, ge=1, description="Tokens a minute, by address and by user.")
    pulls: int | None = Field(
        None, ge=1, description="Manifests pulled a minute, by address and by user; none: no limit."
    )


class OpenIDSettings(Section):
    issuer: Realm = Field(description="The URL of the provider, as its discovery document says it.")
    clientid: str = Field(min_length=1, description="What the provider calls this hub.")
    clientsecret: Secret = Field(description="What the provider gave this hub to prove itself.")
    name: str = Field("OpenID Connect", min_length=1, description="What the login button says.")
    scopes: tuple[str, ...] = Field(
        ("openid", "profile", "email"), description="What the provider is asked for."
    )
    usernameclaim: str = Field(
        "preferred_username", description="The claim that names new accounts."
    )
    groupsclaim: str = Field("groups", description="The claim that lists a user's groups.")
    groups: Groups = Field(
        default_factory=dict,
        description="What a group is in organisations: `{group: {org: role}}`.",
    )
    admingroup: str | None = Field(None, description="The group whose members administer the hub.")
    createusers: bool = Field(True, description="Make an account at somebody's first login.")


class DirectorySettings(Section):
    url: str = Field(pattern=r"^ldaps?://", description="`ldaps://host` or `ldap://host`.")
    starttls: bool = Field(True, description="Encrypt `ldap://` before a password is sent.")
    cacert: FilePath | None = Field(None, description="PEM: who may sign the server's certificate.")
    binddn: str = Field("", description="Who looks users up; empty: nobody in particular.")
    bindpassword: Secret | None = Field(None, description="… and the password for that.")
    base: str = Field(min_length=1, description="Where users are looked for.")
    filter: str = Field(
        "(&(objectClass=inetOrgPerson)(uid={name}))",
        pattern=r"\{name\}",
        description="How a user is found; `{name}` is the name, escaped.",
    )
    groupbase: str | None = Field(None, description="Where groups are looked for.")
    groupfilter: str = Field(
        "(&(objectClass=groupOfNames)(member={dn}))",
        pattern=r"\{dn\}",
        description="How a user's groups are found; `{dn}` is the user's, escaped.",
    )
    groups: Groups = Field(
        default_factory=dict,
        description="What a group is in organisations: `{group: {org: role}}`.",
    )
    admingroup: str | None = Field(None, description="The group whose members administer the hub.")


class HubSettings(Section):
    """Accounts, organisations and roles, kept by this server."""

    url: PublicURL | None = Field(
        None,
        description="The URL that people and clients reach the hub by. Without it, what each "
        "request was addressed to. A registry without a hub (`serve --role registry`) needs it.",
    )
    service: str = Field(
        "registry",
        pattern=r'^[^"\\\x00-\x1f\x7f-\U0010ffff]+$',
        description="The name of this registry in tokens: their audience.",
    )
    issuer: str = Field("registry-hub", min_length=1, description="The name of the hub in tokens.")
    database: Secret | None = Field(
        None,
        description="The hub's database, an SQLAlchemy URL. Without it: tables of its own beside "
        "the catalog's in PostgreSQL, or `hub.sqlite` in `data.directory`.",
    )
    registration: Literal["closed", "open"] = Field(
        "closed", description="Whether anybody may make an account."
    )
    tokens: HubTokenSettings = section(HubTokenSettings, "Tokens of the registry.")
    sessions: SessionSettings = section(SessionSettings, "Logins of browsers.")
    passwords: PasswordSettings = section(PasswordSettings, "What a password must be.")
    audit: AuditSettings = section(AuditSettings, "Who did what.")
    rates: RateSettings = section(RateSettings, "How often things may be asked.")
    oidc: OpenIDSettings | None = Field(None, description="Login at an OpenID Connect provider.")
    ldap: DirectorySettings | None = Field(None, description="Passwords of an LDAP directory.")
