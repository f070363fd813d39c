"""The settings of the gcs driver, named as in distribution."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from registry_storage.drivers.api import KiB, MiB
from registry_storage.hookspecs import DriverConfig

Text = Annotated[str, Field(min_length=1)]


class GcsConfig(DriverConfig):
    """The keys below `storage.gcs`."""

    bucket: Text = Field(description="The bucket. It must exist.")
    keyfile: Text | None = Field(
        None,
        description="Path of a service account's key file in JSON. Without it, and without "
        "`credentials`, Google's application default credentials are used.",
    )
    credentials: dict[str, Any] | None = Field(
        None, repr=False, description="The content of such a key file, as a map."
    )
    rootdirectory: str = Field(
        "", description="A prefix of all keys, so that the bucket may hold something else too."
    )
    chunksize: int = Field(
        8 * MiB,
        ge=256 * KiB,
        multiple_of=256 * KiB,
        description="The size of an upload's parts, in bytes, held in memory while they are sent; "
        "a multiple of 256 KiB. Up to that, a blob is stored in one request.",
    )
    maxconcurrency: int = Field(
        50, ge=25, description="How many requests to the service run at once; more wait."
    )
    useragent: Text | None = Field(
        None, description="Put before the SDK's own words in the `User-Agent` of requests."
    )

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if self.keyfile is not None and self.credentials is not None:
            raise ValueError("give keyfile or credentials, not both")
        return self
