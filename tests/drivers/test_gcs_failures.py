"""What goes wrong with Google Cloud Storage comes out as one clear line."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest
import requests

from registry_storage.drivers.gcs import GcsConfig
from registry_storage.drivers.gcs.driver import GcsDriver
from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    ConfigurationInvalid,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    SdkMissing,
    Throttled,
    TransientError,
)
from registry_storage.plugins import open_driver
from registry_storage.testing.material import new_id, read_all
from tests.drivers import recorded_gcs as recorded
from tests.drivers.recorded_gcs import Answer, Step, answering
from tests.services.fake_gcs import FakeGcs, running_fake_gcs, service_account_key
from tests.services.processes import free_port

pytestmark = pytest.mark.xdist_group("fake-gcs")


@pytest.fixture
async def driver(fake_gcs: FakeGcs) -> AsyncIterator[GcsDriver]:
    made = GcsDriver(GcsConfig(bucket=fake_gcs.new_bucket()))
    await made.start()
    yield made
    await made.close()


async def refused(config: GcsConfig) -> DriverError | ConfigurationInvalid:
    """The error with which a driver does not start."""
    driver = GcsDriver(config)
    with pytest.raises((DriverError, ConfigurationInvalid)) as raised:
        await driver.start()
    await driver.close()
    assert "\n" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("step", "kind", "says"),
    [
        (recorded.FORBIDDEN, AccessDenied, "roles/storage.objectUser"),
        (recorded.UNAUTHORIZED, AccessDenied, "storage.gcs.keyfile"),
        (recorded.NO_BUCKET, DriverError, "there is no bucket"),
        (recorded.RATE_LIMIT, Throttled, "maxconcurrency"),
        (recorded.RATE_LIMIT_AS_403, Throttled, "maxconcurrency"),
        (recorded.BACKEND_ERROR, DriverUnavailable, "Backend Error"),
        (recorded.GATEWAY_TIMEOUT, DriverTimeout, "does not answer in time"),
        (recorded.INSUFFICIENT_STORAGE, NoSpace, "is full"),
        (Answer(400, b"Bad Request"), DriverError, "Bad Request"),
        (requests.ReadTimeout("read timed out"), DriverTimeout, "does not answer in time"),
        (requests.ConnectTimeout("connect timed out"), DriverTimeout, "does not answer in time"),
        (requests.ConnectionError("reset by peer"), DriverUnavailable, "cannot reach"),
    ],
)
async def test_every_answer_is_an_error_of_its_own(
    driver: GcsDriver, step: Step, kind: type[DriverError], says: str
) -> None:
    with answering(step) as made, pytest.raises(DriverError, match=says) as raised:
        await driver.put_blob(new_id(), [b"hello"], None)
    assert type(raised.value) is kind
    assert len(made) == 1, "the SDK has tried again by itself"


async def test_a_missing_bucket_is_not_a_missing_blob(driver: GcsDriver) -> None:
    location = driver.location_of(new_id(), None)
    with answering(recorded.NO_BUCKET), pytest.raises(DriverError) as raised:
        await read_all(driver, location)
    assert not isinstance(raised.value, BlobNotFound)
    with answering(recorded.NO_OBJECT), pytest.raises(BlobNotFound):
        await read_all(driver, location)


async def test_an_answer_that_is_cut_off_is_no_short_blob(driver: GcsDriver) -> None:
    location = driver.location_of(new_id(), None)
    with (
        answering(Answer(200, b"hello", claimed_length=12)),
        pytest.raises(TransientError, match="ended early"),
    ):
        await read_all(driver, location)


async def test_a_bucket_that_does_not_exist(fake_gcs: FakeGcs) -> None:
    error = await refused(GcsConfig(bucket="nobody-made-this"))
    assert str(error).startswith("there is no bucket nobody-made-this: create it")


async def test_a_service_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    error = await refused(GcsConfig(bucket="registry"))
    assert isinstance(error, DriverUnavailable)
    assert "STORAGE_EMULATOR_HOST" in str(error)
    assert "Connection refused" in str(error)
    assert "Max retries" not in str(error)


async def test_a_certificate_that_nobody_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_fake_gcs("https") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        error = await refused(GcsConfig(bucket="registry"))
    assert "REQUESTS_CA_BUNDLE" in str(error)
    assert not isinstance(error, TransientError), "trying again cannot help"


@pytest.mark.parametrize(
    ("answer", "says"),
    [(recorded.SKEWED_CLOCK, "clock"), (recorded.UNKNOWN_KEY, "storage.gcs.keyfile")],
)
async def test_a_key_that_google_does_not_accept(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, says: str
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with answering(answer):
        error = await refused(GcsConfig(bucket="registry", credentials=service_account_key()))
    assert isinstance(error, AccessDenied)
    assert says in str(error)


async def test_the_way_to_the_tokens_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    with answering(requests.ConnectionError("no route to host")):
        error = await refused(GcsConfig(bucket="registry", credentials=service_account_key()))
    assert isinstance(error, DriverUnavailable)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"keyfile": "/nowhere/key.json"}, "storage.gcs.keyfile: cannot read /nowhere/key.json"),
        ({"keyfile": __file__}, "storage.gcs.keyfile: not the key of a service account"),
        ({"credentials": {"type": "service_account"}}, "storage.gcs.credentials: not the key"),
    ],
)
async def test_a_key_that_is_none(settings: dict[str, object], says: str) -> None:
    error = await refused(GcsConfig.model_validate({"bucket": "registry", **settings}))
    assert isinstance(error, ConfigurationInvalid)
    assert says in str(error)


async def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    error = await refused(GcsConfig(bucket="registry"))
    assert "set storage.gcs.keyfile" in str(error)


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    with pytest.raises(SdkMissing, match=r"pip install registry-storage\[gcs\]"):
        open_driver("gcs", {"bucket": "registry"})


def test_two_identities_are_one_too_many() -> None:
    with pytest.raises(ConfigurationInvalid, match="keyfile or credentials, not both"):
        open_driver("gcs", {"bucket": "registry", "keyfile": "key.json", "credentials": {}})
