"""Settings of the kodo driver, named as distribution names those of its drivers."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from registry_storage.drivers.api import MiB
from registry_storage.hookspecs import DriverConfig

_HOST = re.compile(r"(?:https?://)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?/?")


def _checked_host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{value!r} is no host: write host, host:port, or https://host")
    return value.rstrip("/")


Text = Annotated[str, Field(min_length=1)]
Host = Annotated[str, AfterValidator(_checked_host)]
"""A host, with its scheme where that is not the one that `secure` says."""


class Endpoints(DriverConfig):
    """Hosts of a private cloud that speaks Kodo's protocol; the public one needs none of them."""

    uc: Host | None = Field(default=None, description="Asked which hosts serve the bucket.")
    up: Host | None = Field(default=None, description="Takes uploads.")
    rs: Host | None = Field(default=None, description="Looks up and deletes objects.")
    rsf: Host | None = Field(default=None, description="Lists objects.")


class KodoConfig(DriverConfig):
    """The settings below `storage.kodo`."""

    accesskey: Text = Field(description="The access key (AK) of the account or of a sub-user.")
    secretkey: Text = Field(description="Its secret key (SK).")
    bucket: Text = Field(description="The bucket; it must be there.")
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] | None = Field(
        default=None,
        description="The bucket's region (z0, z1, z2, na0, as0, cn-east-2, …). Without it Qiniu is "
        "asked at start, which costs one request and cannot be wrong.",
    )
    domain: Host | None = Field(
        default=None,
        description="The download domain bound to the bucket. Without it the first one that Qiniu "
        "names is used. A source domain is better than one of the CDN, which may keep answers.",
    )
    private: bool = Field(
        default=True,
        description="Sign download URLs, which a private bucket wants and a public one takes too. "
        "Unsigned ones work for ever, for whoever gets to see one.",
    )
    chunksize: Annotated[int, Field(ge=1 * MiB, le=1024 * MiB)] = Field(
        default=8 * MiB,
        description="Bytes in a part of an upload; larger parts are fewer requests and more memory."
        " Parts grow by themselves where a blob would need more than 10 000.",
    )
    maxconcurrency: Annotated[int, Field(ge=1)] = Field(
        default=50, description="The most requests to Kodo at a time; more wait."
    )
    rootdirectory: str = Field(default="", description="What the keys of all objects begin with.")
    secure: bool = Field(default=True, description="Speak TLS with the hosts that name no scheme.")
    endpoints: Endpoints = Field(
        default_factory=Endpoints,
        description="Hosts of a private cloud, in place of the public ones.",
    )

    def url_of(self, host: Host) -> str:
        """The URL of a host, its scheme by `secure` unless it names one."""
        return host if "://" in host else f"{'https' if self.secure else 'http'}://{host}"
