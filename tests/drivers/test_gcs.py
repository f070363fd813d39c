"""The gcs driver passes the suite, against an emulator."""

from __future__ import annotations

import pytest

from registry_storage.drivers.api import ForeignData, Redirects
from registry_storage.drivers.gcs import GcsConfig
from registry_storage.drivers.gcs.driver import GcsDriver
from registry_storage.testing import DriverHarness, Failure
from registry_storage.testing.suite import *  # noqa: F403
from tests.drivers import recorded_gcs as recorded
from tests.drivers.recorded_gcs import failing
from tests.services.fake_gcs import FakeGcs, service_account_key

pytestmark = pytest.mark.xdist_group("fake-gcs")


# Servers are tried in a whole bucket, in `tests/drivers_served`.
ROOTS = [
    pytest.param("some/folder", id="in-a-folder"),
    pytest.param("", id="whole-bucket", marks=pytest.mark.long),
]


@pytest.fixture(params=ROOTS)
def harness(request: pytest.FixtureRequest, fake_gcs: FakeGcs) -> DriverHarness:
    bucket, root = fake_gcs.new_bucket(), request.param
    config = GcsConfig(bucket=bucket, rootdirectory=root, credentials=service_account_key())
    foreign = f"{root}/docker/registry/v2/blobs/sha256/aa/aaaa/data".lstrip("/")
    return DriverHarness(
        open=lambda: GcsDriver(config),
        extensions=frozenset({Redirects, ForeignData}),
        residue=lambda: [key for key in fake_gcs.keys(bucket) if key != foreign],
        plant_foreign_data=lambda: fake_gcs.put(bucket, foreign),
        failures={
            Failure.FORBIDDEN: failing(recorded.FORBIDDEN),
            Failure.THROTTLED: failing(recorded.RATE_LIMIT),
            Failure.BROKEN: failing(recorded.BACKEND_ERROR),
            Failure.SILENT: failing(recorded.GATEWAY_TIMEOUT),
            Failure.FULL: failing(recorded.INSUFFICIENT_STORAGE),
        },
    )
