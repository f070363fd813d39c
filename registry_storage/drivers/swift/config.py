"""The settings of the swift driver, named as in distribution 2.8."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from registry_storage.drivers.api import MiB
from registry_storage.hookspecs import DriverConfig

_VERSION_AT_THE_END: Final = re.compile(r"/v?([123])(\.0)?/?$")


def _as_text(value: object) -> object:
    """Names of tenants and users that are digits only come out of the environment as numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, Field(min_length=1), BeforeValidator(_as_text)]
Secret = Annotated[str | None, Field(min_length=1, repr=False), BeforeValidator(_as_text)]


class SwiftConfig(DriverConfig):
    """Settings of the swift driver."""

    authurl: Text
    """Where to log in: `https://…/auth/v1.0` (v1), `https://…/v2.0`, `https://…/v3` (Keystone)."""
    username: Text | None = None
    """Whom to log in as; for v1 `account:user`."""
    password: Secret = None
    """The user's password (v1: the key)."""
    applicationcredentialid: Text | None = None
    """Log in with an application credential (v3) in the place of user and password."""
    applicationcredentialsecret: Secret = None
    """The application credential's secret."""
    authversion: Annotated[int, Field(ge=0, le=3)] = 0
    """1, 2 or 3; 0: what `authurl` ends with, else 3."""
    tenant: Text | None = None
    """The project's name (v2, v3)."""
    tenantid: Text | None = None
    """The project's id, in the place of its name (v2, v3)."""
    domain: Text | None = None
    """The name of the user's domain (v3)."""
    domainid: Text | None = None
    """The id of the user's domain, in the place of its name (v3)."""
    tenantdomain: Text | None = None
    """The name of the project's domain (v3); default: the user's."""
    tenantdomainid: Text | None = None
    """The id of the project's domain, in the place of its name (v3)."""
    trustid: Text | None = None
    """The trust (v2, v3) through which the user acts; it names the project."""
    region: Text | None = None
    """Which region's object store, where the catalog of services lists several (v2, v3)."""
    endpointtype: Literal["public", "internal", "admin"] = "public"
    """Which of the store's addresses to talk to (v2, v3); clients are redirected to the public."""
    insecureskipverify: bool = False
    """Take any TLS certificate: for a test, never for people's images."""
    container: Text
    """The container; made where it is missing."""
    segmentcontainer: Text | None = None
    """Where large blobs' segments go; default: into `container`.  Made where it is missing."""
    prefix: Annotated[str, BeforeValidator(_as_text)] = ""
    """What every object's name begins with, as a folder."""
    chunksize: Annotated[int, Field(ge=1 * MiB, le=512 * MiB)] = 8 * MiB
    """Bytes of a segment.  Larger is faster and takes more memory: one such buffer a segment under
    way.  Segments grow by themselves towards the end of very large blobs."""
    maxsegments: Annotated[int, Field(ge=100)] = 1000
    """How many segments the cluster takes in one object (`slo.max_manifest_segments`)."""
    maxconnections: Annotated[int, Field(ge=4)] = 32
    """How many requests run at once, reads under way aside; more wait."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds of silence, while connecting or within an answer, until a request is given up."""
    secretkey: Secret = None
    """The key of temporary URLs.  Set in the account, or in the container, if there is none yet;
    default: the one that is there, and where none is, clients are not redirected."""
    tempurlcontainerkey: bool = False
    """The key of temporary URLs is the container's, not the account's."""
    tempurlmethods: tuple[Literal["GET", "HEAD", "PUT", "POST", "DELETE"], ...] = ("GET", "HEAD")
    """The methods for which clients may be redirected; blobs are only ever read so."""
    redirectendpoint: Text | None = None
    """`https://host[:port]` under which clients reach the store; default: its public address."""

    @property
    def version(self) -> int:
        """Of the identity API: 1, 2 or 3."""
        found = _VERSION_AT_THE_END.search(self.authurl)
        return self.authversion or (int(found[1]) if found else 3)

    @property
    def segments_in(self) -> str:
        """The name of the container that takes the segments."""
        return self.segmentcontainer or self.container

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> SwiftConfig:
        application = (self.applicationcredentialid, self.applicationcredentialsecret)
        if any(application):
            if not all(application):
                raise ValueError(
                    "applicationcredentialid and applicationcredentialsecret need each other"
                )
            if self.version != 3:
                raise ValueError("application credentials need authversion 3")
        elif not (self.username and self.password):
            raise ValueError("username and password are required")
        return self

    @model_validator(mode="after")
    def _project_is_named(self) -> SwiftConfig:
        named = self.tenant or self.tenantid or self.trustid or self.applicationcredentialid
        if self.version > 1 and not named:
            raise ValueError(
                f"tenant, tenantid or trustid is required with version {self.version} of the "
                "identity API (authversion, or the end of authurl)"
            )
        return self

    @model_validator(mode="after")
    def _container_key_covers_the_segments(self) -> SwiftConfig:
        if self.tempurlcontainerkey and self.segments_in != self.container:
            raise ValueError(
                "tempurlcontainerkey: a container's key does not open another container, so it "
                "cannot go with segmentcontainer"
            )
        return self
