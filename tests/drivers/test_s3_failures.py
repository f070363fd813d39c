"""What goes wrong with an S3 store is told in one line that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    SSLError,
)

from registry_storage.drivers.s3 import S3Config
from registry_storage.drivers.s3.driver import S3Driver
from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    ConfigurationInvalid,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    Throttled,
    TransientError,
)
from registry_storage.plugins import open_driver
from tests.cli.certificates import make_certificate
from tests.drivers.s3_answers import answering, failing, timeout
from tests.services.buckets import S3Account
from tests.services.handshakes import tls_server
from tests.services.processes import free_port

SETTINGS: Mapping[str, Any] = {
    "bucket": "images",
    "regionendpoint": "http://127.0.0.1:1",
    "forcepathstyle": True,
    "accesskey": "key",
    "secretkey": "secret",
}


async def problem(**settings: Any) -> DriverError:
    """What `start` raises with these settings."""
    driver = S3Driver(S3Config(**{**SETTINGS, **settings}))
    with pytest.raises(DriverError) as raised:
        await driver.start()
    await driver.close()
    assert "\n" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (403, "InvalidAccessKeyId", AccessDenied, "check accesskey and secretkey"),
        (403, "SignatureDoesNotMatch", AccessDenied, "check accesskey and secretkey"),
        (400, "ExpiredToken", AccessDenied, "renew sessiontoken"),
        (403, "AccessDenied", AccessDenied, "give the access key the rights"),
        (403, "RequestTimeTooSkewed", AccessDenied, "set this machine's time"),
        (404, "NoSuchBucket", DriverError, "create it"),
        (400, "AuthorizationHeaderMalformed", DriverError, "set region"),
        (400, "KMS.DisabledException", AccessDenied, "check keyid"),
        (503, "SlowDown", Throttled, "lower maxconcurrency"),
        (429, "Whatever", Throttled, "lower maxconcurrency"),
        (403, "QuotaExceeded", NoSpace, "raise the quota"),
        (507, "Whatever", NoSpace, "free some space"),
        (400, "RequestTimeout", DriverTimeout, "did not answer in time"),
        (504, "Whatever", DriverTimeout, "did not answer in time"),
        (500, "InternalError", DriverUnavailable, "failed on"),
        (502, "Whatever", DriverUnavailable, "failed on"),
        (400, "BadDigest", DriverUnavailable, "other bytes than were sent"),
        (409, "ConditionalRequestConflict", DriverUnavailable, "failed on"),
        (501, "NotImplemented", DriverError, "does not know what"),
        (400, "SomethingNew", DriverError, "SomethingNew: as asked"),
    ],
)
async def test_an_answer_is_the_error_it_means(
    status: int, code: str, kind: type[DriverError], advice: str
) -> None:
    with answering(status, code):
        error = await problem()
    assert type(error) is kind
    assert advice in str(error)
    assert "images" in str(error)


@pytest.mark.parametrize(
    ("raised", "kind", "advice"),
    [
        (timeout(), DriverTimeout, "did not answer in time"),
        (ConnectTimeoutError(endpoint_url="x"), DriverTimeout, "did not answer in time"),
        (EndpointConnectionError(endpoint_url="x"), DriverUnavailable, "check regionendpoint"),
        (ConnectionClosedError(endpoint_url="x"), DriverUnavailable, "cannot be reached"),
        (ConnectionResetError("reset"), DriverUnavailable, "cannot be reached"),
        (SSLError(endpoint_url="x", error="EOF"), DriverUnavailable, "cannot be reached"),
        (NoCredentialsError(), AccessDenied, "set accesskey and secretkey"),
        (ParamValidationError(report="x"), DriverError, "refuses the request"),
    ],
)
async def test_what_the_sdk_raises_is_the_error_it_means(
    raised: Exception, kind: type[DriverError], advice: str
) -> None:
    with failing(raised):
        error = await problem()
    assert type(error) is kind
    assert advice in str(error)


async def test_the_region_of_the_bucket_is_named() -> None:
    with answering(301, "PermanentRedirect", {"x-amz-bucket-region": "eu-north-1"}):
        assert "but in eu-north-1" in str(await problem(region="us-east-1"))


@pytest.mark.xdist_group("moto")
async def test_a_bucket_that_is_missing(moto: S3Account) -> None:
    error = await problem(bucket="no-such-bucket", regionendpoint=moto.endpoint)
    assert "bucket no-such-bucket" in str(error)
    assert "does not exist" in str(error)
    assert not isinstance(error, BlobNotFound)


@pytest.mark.xdist_group("seaweedfs")
async def test_credentials_that_are_wrong(seaweedfs: S3Account) -> None:
    with seaweedfs.bucket() as bucket:
        for wrong in ({"accesskey": "nobody"}, {"secretkey": "wrong"}):
            error = await problem(**{**bucket.settings, **wrong})
            assert isinstance(error, AccessDenied)
            assert "check accesskey and secretkey" in str(error)


async def test_a_host_that_is_not_there() -> None:
    error = await problem(regionendpoint=f"http://127.0.0.1:{free_port()}")
    assert isinstance(error, TransientError)
    assert "cannot be reached" in str(error)


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    with tls_server(make_certificate(tmp_path, "own")) as endpoint:
        error = await problem(regionendpoint=endpoint)
    assert not isinstance(error, TransientError)
    assert "AWS_CA_BUNDLE" in str(error)


@pytest.mark.xdist_group("moto")
async def test_a_store_that_speaks_no_tls(moto: S3Account) -> None:
    error = await problem(regionendpoint=moto.endpoint.replace("http:", "https:"))
    assert not isinstance(error, TransientError)
    assert "begin regionendpoint with http://" in str(error)


async def test_no_credentials_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    error = await problem(accesskey=None, secretkey=None)
    assert isinstance(error, AccessDenied)
    assert "where the SDK looks" in str(error)


@pytest.mark.xdist_group("moto")
async def test_keys_from_the_environment_are_found(
    moto: S3Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret_key)
    with moto.bucket() as bucket:
        keyless = {**bucket.settings, "accesskey": None, "secretkey": None}
        driver = S3Driver(S3Config(**keyless))
        await driver.start()
        await driver.close()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"secretkey": None}, "accesskey and secretkey are needed together"),
        ({"accesskey": None, "secretkey": None, "sessiontoken": "t"}, "sessiontoken needs"),
        ({"keyid": "k"}, "keyid needs encrypt"),
        ({"chunksize": 5 * 1024**2 - 1}, "chunksize"),
        ({"storageclass": "GLACIER"}, "storageclass"),
        ({"bukket": "x"}, "did you mean bucket?"),
        ({"bucket": ""}, "storage.s3.bucket"),
    ],
)
def test_settings_that_are_wrong(settings: Mapping[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=complaint):
        open_driver("s3", {**SETTINGS, **settings})


def test_secrets_are_not_shown() -> None:
    config = S3Config(**{**SETTINGS, "sessiontoken": "token"})
    assert "secret'" not in repr(config)
    assert "token'" not in repr(config)
