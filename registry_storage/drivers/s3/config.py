"""The settings of the s3 driver, named as in distribution where they mean the same."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from registry_storage.drivers.api import MiB
from registry_storage.hookspecs import DriverConfig

Text = Annotated[str, Field(min_length=1)]

StorageClass = Literal[
    "NONE",
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "OUTPOSTS",
    "EXPRESS_ONEZONE",
]
"""Those whose objects can be read at once, and `NONE` for stores that know no classes."""


class S3Config(DriverConfig):
    """The keys below `storage.s3`."""

    bucket: Text = Field(description="The bucket. It must exist.")
    rootdirectory: str = Field(
        "", description="A prefix of all keys, so that the bucket may hold something else too."
    )
    region: Text | None = Field(
        None,
        description="The bucket's region. Without it: the SDK's own (`AWS_REGION`, its "
        "configuration file), else `us-east-1`, which most stores that are not AWS expect.",
    )
    accesskey: Text | None = Field(
        None,
        description="The access key. Without it the SDK looks where it always does: environment, "
        "shared files, web identity, the container's or the instance's role.",
    )
    secretkey: Text | None = Field(None, repr=False, description="The access key's secret.")
    sessiontoken: Text | None = Field(
        None, repr=False, description="The token that comes with temporary keys."
    )
    regionendpoint: Text | None = Field(
        None, description="The URL of a store that is not AWS, such as `https://s3.example.org`."
    )
    redirectendpoint: Text | None = Field(
        None,
        description="The URL under which clients reach the store, where it is another than ours.",
    )
    forcepathstyle: bool = Field(
        False,
        description="Name the bucket in the path of URLs, not in the host's name. Most stores "
        "that are not AWS need it.",
    )
    accelerate: bool = Field(False, description="Use AWS' transfer acceleration.")
    usedualstack: bool = Field(False, description="Use AWS' endpoints that speak IPv6 too.")
    usefipsendpoint: bool = Field(False, description="Use AWS' endpoints validated for FIPS.")
    secure: bool = Field(True, description="Use TLS where the endpoint names no scheme.")
    skipverify: bool = Field(False, description="Trust any certificate of the store. For tests.")
    encrypt: bool = Field(False, description="Ask for encryption at rest.")
    keyid: Text | None = Field(
        None, description="Encrypt with this KMS key; with `encrypt` alone AES256 is asked for."
    )
    storageclass: StorageClass = Field(
        "STANDARD", description="Of blobs. `NONE` sends none, for stores that refuse the header."
    )
    objectacl: Text | None = Field(
        None, description="A canned ACL for every object; buckets without ACLs refuse any."
    )
    chunksize: int = Field(
        10 * MiB,
        ge=5 * MiB,
        le=5 * 1024 * MiB,
        description="The size of an upload's parts, in bytes, held in memory while they are sent; "
        "up to that, a blob is stored in one request. Parts of very large blobs grow.",
    )
    uniform: bool = Field(
        False,
        description="Keep all parts equally long, as Cloudflare R2 wants them. Then the largest "
        "blob has 10 000 times `chunksize`.",
    )
    maxconcurrency: int = Field(
        32, ge=4, description="How many requests to the store run at once; more wait."
    )
    useragent: Text | None = Field(
        None, description="Added to the `User-Agent` of requests to the store."
    )

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> Self:
        if (self.accesskey is None) != (self.secretkey is None):
            raise ValueError("accesskey and secretkey are needed together")
        if self.sessiontoken and not self.accesskey:
            raise ValueError("sessiontoken needs accesskey and secretkey")
        if self.keyid and not self.encrypt:
            raise ValueError("keyid needs encrypt: true")
        return self

    @property
    def endpoint(self) -> str | None:
        """`regionendpoint` with its scheme; None: AWS' own."""
        return self._url(self.regionendpoint)

    @property
    def public_endpoint(self) -> str | None:
        """Where clients are sent; None: where we go ourselves."""
        return self._url(self.redirectendpoint)

    def _url(self, endpoint: str | None) -> str | None:
        if endpoint is None or "://" in endpoint:
            return endpoint
        return f"{'https' if self.secure else 'http'}://{endpoint}"
