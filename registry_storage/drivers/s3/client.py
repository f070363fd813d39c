"""boto3 clients as the driver needs them: they sign, send once, and give up in time.

The SDK retries nothing: the retry wrapper around the driver does, and knows what may be repeated.
It adds no checksums of its own: over TLS it would send them behind the body in a form (aws-chunked)
that Ceph's gateway and others refuse.  Without TLS the signature covers the body.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import boto3  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from registry_storage.drivers.s3.config import S3Config

CONNECT_SECONDS: Final = 10
READ_SECONDS: Final = 60
"""Without a byte from the store."""


def new_client(config: S3Config, endpoint: str | None) -> Any:
    """A client, thread-safe; may ask the network for credentials.  Raises what the SDK raises."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _descriptions())
    session = boto3.session.Session(
        botocore_session=core,
        aws_access_key_id=config.accesskey,
        aws_secret_access_key=config.secretkey,
        aws_session_token=config.sessiontoken,
        region_name=config.region,
    )
    return session.client(
        "s3",
        endpoint_url=endpoint,
        verify=False if config.skipverify else None,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": 1},
            max_pool_connections=config.maxconcurrency,
            tcp_keepalive=True,
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra=config.useragent,
            use_dualstack_endpoint=config.usedualstack or None,
            use_fips_endpoint=config.usefipsendpoint or None,
            s3={
                "addressing_style": "path" if config.forcepathstyle else "auto",
                "use_accelerate_endpoint": config.accelerate,
            },
        ),
    )


@cache
def _descriptions() -> Any:
    """The SDK's descriptions of S3, read once a process: they are large."""
    return botocore.loaders.create_loader()


def blob_options(config: S3Config) -> dict[str, str]:
    """What goes with every request that makes a blob's object."""
    options = mark_options(config)
    if config.storageclass != "NONE":
        options["StorageClass"] = config.storageclass
    return options


def mark_options(config: S3Config) -> dict[str, str]:
    """As for a blob, but never in a class whose objects are billed as if they were large."""
    options: dict[str, str] = {}
    if config.encrypt:
        options["ServerSideEncryption"] = "aws:kms" if config.keyid else "AES256"
    if config.keyid:
        options["SSEKMSKeyId"] = config.keyid
    if config.objectacl:
        options["ACL"] = config.objectacl
    return options
