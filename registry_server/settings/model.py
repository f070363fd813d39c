"""Every setting, with its type, its default and what it is for.

The keys are those of the distribution project where they mean the same, and none has an underscore,
so that `REGISTRY_HTTP_TLS_CERTIFICATE` can only be `http.tls.certificate`.
`docs/reference/configuration.md` lists these fields; a test holds it to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    IPvAnyNetwork,
    field_validator,
    model_validator,
)

from registry_server.settings.hub import HubSettings
from registry_server.settings.section import DAY, Section, section
from registry_server.settings.values import (
    Address,
    Duration,
    FilePath,
    KeySource,
    ListenAddress,
    PublicURL,
    Realm,
    Secret,
)

CENTURY = 36_525 * DAY
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class AccessLogSettings(Section):
    disabled: bool = Field(False, description="Write no line for each request.")


class LogSettings(Section):
    level: Literal["debug", "info", "warn", "error"] = Field(
        "info", description="The least important messages that are written."
    )
    formatter: Literal["text", "json"] = Field(
        "text", description="`text`: for people; `json`: one object a line."
    )
    fields: Mapping[str, str] = Field(
        default_factory=dict, description="Fields that every line carries, by name."
    )
    accesslog: AccessLogSettings = section(AccessLogSettings, "The lines about requests.")


class UploadPurgingSettings(Section):
    enabled: bool = Field(True, description="Forget uploads that nobody finishes.")
    age: Duration = Field(
        7 * DAY, gt=0, le=CENTURY, description="How long after their last chunk that is."
    )


class ReadOnlySettings(Section):
    enabled: bool = Field(False, description="Refuse every change: serve pulls only.")


class MaintenanceSettings(Section):
    uploadpurging: UploadPurgingSettings = section(
        UploadPurgingSettings, "What happens to uploads that were given up."
    )
    readonly: ReadOnlySettings = section(ReadOnlySettings, "Serving without changing anything.")


class DeleteSettings(Section):
    enabled: bool = Field(True, description="Allow clients to delete tags, manifests and blobs.")


class RedirectSettings(Section):
    disable: bool = Field(
        False, description="Serve blobs ourselves even where the store could serve them directly."
    )
    useragents: tuple[re.Pattern[str], ...] = Field(
        (),
        description="Serve blobs ourselves to clients whose `User-Agent` one of these regular "
        "expressions finds: old ones send their login on to the store, which refuses it.",
    )
    networks: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="Serve blobs ourselves to clients in these networks, such as `10.0.0.0/8`: "
        "where the store cannot be reached.",
    )


class StorageSettings(Section):
    """The store: one driver with its own keys, and what holds for every driver.

    In a file the driver's section stands beside the others (`storage: {filesystem: {…}}`).
    """

    driver: str = Field("", description="The name of the driver; the key of its section.")
    parameters: Mapping[str, Any] = Field(
        default_factory=dict, repr=False, description="The driver's own keys, as it checks them."
    )
    delete: DeleteSettings = section(DeleteSettings, "Deleting through the API.")
    redirect: RedirectSettings = section(RedirectSettings, "Sending clients to the store itself.")
    maintenance: MaintenanceSettings = section(MaintenanceSettings, "Keeping the store in order.")


class NoAuthSettings(Section):
    """Everybody may do everything.  Only on loopback, unless the command line insists."""


class HtpasswdSettings(Section):
    realm: str = Field(
        "Registry", pattern=r'^[^"\\\x00-\x1f\x7f]+$', description="Shown when asking for a login."
    )
    path: FilePath = Field(description="The htpasswd file; bcrypt entries only (`htpasswd -B`).")
    policy: FilePath | None = Field(
        None,
        description="A file of rules: who may do what where. "
        "Without it every user may do everything, and nobody else anything.",
    )


SignatureAlgorithm = Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "EdDSA"]


class TokenSettings(Section):
    realm: Realm = Field(description="The URL of the token server, where clients get tokens.")
    service: str = Field(
        pattern=r'^[^"\\\x00-\x1f\x7f-\U0010ffff]+$',
        description="The name of this registry at the token server: the audience of its tokens.",
    )
    issuer: str = Field(
        min_length=1, description="The name of the token server: the issuer of its tokens."
    )
    rootcertbundle: FilePath | None = Field(
        None, description="PEM certificates: tokens of their keys, and of what they signed, count."
    )
    jwks: KeySource | None = Field(
        None,
        description="The keys of tokens, a JWKS: a file, which is read again when it changes, or "
        "an `http(s)://` URL, which is asked every minute, and for a key that is not known.",
    )
    signingalgorithms: tuple[SignatureAlgorithm, ...] = Field(
        ("ES256", "RS256", "EdDSA"),
        description="How tokens may be signed; `ES384`, `ES512`, `RS384` and `RS512` besides.",
    )

    @model_validator(mode="after")
    def _can_verify(self) -> TokenSettings:
        if self.rootcertbundle is None and self.jwks is None:
            raise ValueError("no key can be trusted; give jwks or rootcertbundle")
        if not self.signingalgorithms:
            raise ValueError("no algorithm is accepted; leave signingalgorithms out")
        return self


class AuthSettings(Section):
    """Who may do what: exactly one way."""

    none: NoAuthSettings | None = Field(None, description="Everybody may do everything.")
    htpasswd: HtpasswdSettings | None = Field(
        None, description="Users with a password each, from a file."
    )

    token: TokenSettings | None = Field(
        None, description="Bearer tokens of a token server, which knows users and rights."
    )
    hub: HubSettings | None = Field(
        None, description="Accounts, organisations and roles, kept by this server."
    )

    @model_validator(mode="after")
    def _one_way(self) -> AuthSettings:
        names = ("none", "htpasswd", "token", "hub")
        ways = [name for name in names if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} exclude each other; keep one")
        return self

    @property
    def is_open(self) -> bool:
        """Whether everybody may do everything."""
        return self.htpasswd is None and self.token is None and self.hub is None


class CatalogSettings(Section):
    url: Secret | None = Field(
        None,
        description="The database of the catalog, an SQLAlchemy URL "
        "(`postgresql+psycopg://user:password@host/database`). Without it: `catalog.sqlite` inside "
        "the filesystem driver's root, or in `data.directory` for other drivers.",
    )
    maxentries: int = Field(
        1000, ge=1, description="The most repositories that one page of `_catalog` has."
    )


class TagsSettings(Section):
    maxtags: int = Field(1000, ge=1, description="The most tags that one page of a list has.")


class TLSSettings(Section):
    certificate: FilePath | None = Field(
        None, description="The certificate with its chain, PEM. Turns TLS on."
    )
    key: FilePath | None = Field(None, description="The certificate's private key, PEM.")
    minimumtls: Literal["tls1.2", "tls1.3"] = Field(
        "tls1.2", description="The oldest version of TLS that is spoken."
    )

    @model_validator(mode="after")
    def _both(self) -> TLSSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are needed together")
        return self


class TimeoutSettings(Section):
    head: Duration = Field(10.0, gt=0, description="For the head of a request to arrive whole.")
    body: Duration = Field(60.0, gt=0, description="Without a byte of a body arriving.")
    write: Duration = Field(60.0, gt=0, description="Without a byte of an answer being taken.")
    keepalive: Duration = Field(75.0, gt=0, description="Between two requests on a connection.")


class ConnectionSettings(Section):
    total: int = Field(
        10_000,
        ge=1,
        description="In each process; at most a quarter of the files that it may have open.",
    )
    peraddress: int = Field(
        256,
        ge=1,
        description="From one address (of IPv6: from one /64), in each process. Loopback is not "
        "counted; `http.trustedproxies` are not either: behind one, each client has so many "
        "requests under way.",
    )


class HTTPSettings(Section):
    addr: ListenAddress = Field(
        Address("127.0.0.1", 5000),
        description="Where to listen: `127.0.0.1:5000`, `[::1]:5000`, or `:5000` for every "
        "interface. Beyond loopback a login is required (`auth`).",
    )
    host: PublicURL | None = Field(
        None,
        description="The URL that clients know the registry by, for absolute `Location`s "
        "(`relativeurls: false`).",
    )
    relativeurls: bool = Field(
        True,
        description="Answer with relative `Location`s, which work behind every proxy; without it "
        "they begin with `http.host`, or else with what the client called the registry.",
    )
    headers: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Headers added to every answer, each with its values."
    )
    trustedproxies: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="The networks of proxies before the registry, such as `10.0.0.0/8`: what they "
        "say in `X-Forwarded-For`, `-Proto` and `-Host`, or in `Forwarded`, counts. Nobody else's "
        "word does.",
    )
    draintimeout: Duration = Field(
        60.0, description="How long requests under way may go on when the server is asked to end."
    )
    tls: TLSSettings = section(TLSSettings, "Encryption by the registry itself.")
    timeouts: TimeoutSettings = section(TimeoutSettings, "When to give up on a client.")
    connections: ConnectionSettings = section(
        ConnectionSettings, "How many connections are served; more are answered 503."
    )

    @field_validator("headers", mode="before")
    @classmethod
    def _one_value_is_a_list_of_one(cls, headers: Any) -> Any:
        if not isinstance(headers, Mapping):
            return headers
        return {k: [v] if isinstance(v, str) else v for k, v in headers.items()}

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for name, values in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a header")
            if any(not value.isprintable() for value in values):
                raise ValueError(f"{name} has a value with a control character")
        return headers


class URLRulesSettings(Section):
    allow: tuple[re.Pattern[str], ...] = Field(
        (), description="URLs of foreign layers must match one of these regular expressions."
    )
    deny: tuple[re.Pattern[str], ...] = Field(
        (), description="URLs of foreign layers must match none of these regular expressions."
    )


class PlatformSettings(Section):
    architecture: str = Field(description="As in the index, such as `amd64`.")
    os: str = Field(description="As in the index, such as `linux`.")


class IndexSettings(Section):
    platforms: Literal["all", "none", "list"] = Field(
        "all", description="Which manifests that an index names must be there when it is pushed."
    )
    platformlist: tuple[PlatformSettings, ...] = Field(
        (), description="The platforms whose manifests must be there, for `platforms: list`."
    )


class ManifestSettings(Section):
    urls: URLRulesSettings = section(URLRulesSettings, "URLs of layers that lie elsewhere.")
    indexes: IndexSettings = section(IndexSettings, "What an index must have.")


class ValidationSettings(Section):
    disabled: bool = Field(
        False, description="Accept manifests that name content which is not there."
    )
    manifests: ManifestSettings = section(ManifestSettings, "What a manifest must have.")


class UploadSettings(Section):
    maxopen: int = Field(100, ge=1, description="The most uploads that one user may have open.")


class DataSettings(Section):
    directory: FilePath = Field(
        Path("~/.local/share/registry-server").expanduser(),
        validate_default=True,
        description="Where the server keeps what has no other place.",
    )


class Role(StrEnum):
    """Which half of the server a process is."""

    ALL = "all"
    HUB = "hub"
    REGISTRY = "registry"

    @property
    def has_hub(self) -> bool:
        return self is not Role.REGISTRY

    @property
    def has_registry(self) -> bool:
        return self is not Role.HUB


class Settings(Section):
    """The whole configuration."""

    version: Annotated[str, Field(pattern=r"^0\.1$")] = Field(
        "0.1", description="Of the format, as in distribution's files: always `0.1`."
    )
    role: Role = Field(
        Role.ALL,
        description="What this process serves: `hub`, the accounts and tokens of `auth.hub`; "
        "`registry`, the images; or `all`.",
    )
    log: LogSettings = section(LogSettings, "What is written to the log, and how.")
    storage: StorageSettings = section(StorageSettings, "Where the bytes are kept.")
    auth: AuthSettings = section(AuthSettings, "Who may do what.")
    catalog: CatalogSettings = section(CatalogSettings, "The database of facts about the bytes.")
    tags: TagsSettings = section(TagsSettings, "Lists of tags.")
    http: HTTPSettings = section(HTTPSettings, "How the server is reached.")
    validation: ValidationSettings = section(ValidationSettings, "What may be pushed.")
    uploads: UploadSettings = section(UploadSettings, "Uploads under way.")
    data: DataSettings = section(DataSettings, "The server's own files.")
