"""The s3 driver passes the suite on Ceph's gateway, on SeaweedFS and on moto."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry_storage.drivers.api import ForeignData, Redirects
from registry_storage.plugins import open_driver
from registry_storage.testing import Capability, DriverHarness, Failure
from registry_storage.testing.suite import *  # noqa: F403
from tests.drivers.s3_answers import answering, failing, timeout

SERVERS = [
    pytest.param("rgw_s3", marks=pytest.mark.xdist_group("ceph"), id="rgw"),
    pytest.param("seaweedfs", marks=pytest.mark.xdist_group("seaweedfs"), id="seaweedfs"),
    pytest.param("moto", marks=pytest.mark.xdist_group("moto"), id="moto"),
]
FOREIGN = "a root/docker/registry/"
NO_TIMES = "moto says of every upload that it began in 2010"


def ours(keys: list[str]) -> list[str]:
    return [key for key in keys if not key.startswith(FOREIGN)]


@pytest.fixture(params=SERVERS)
def harness(request: pytest.FixtureRequest) -> Iterator[DriverHarness]:
    lacks = {Capability.LISTS_UPLOADS: NO_TIMES} if request.param == "moto" else {}
    with request.getfixturevalue(request.param).bucket() as bucket:
        settings = {**bucket.settings, "rootdirectory": "/a root"}
        yield DriverHarness(
            open=lambda: open_driver("s3", settings),
            extensions=frozenset({Redirects, ForeignData}),
            residue=lambda: (ours(bucket.all_keys()), bucket.uploads()),
            lacks=lacks,
            plant_foreign_data=lambda: bucket.put(f"{FOREIGN}v2/blobs/x", b"x"),
            failures={
                Failure.FORBIDDEN: lambda: answering(403, "AccessDenied"),
                Failure.THROTTLED: lambda: answering(503, "SlowDown"),
                Failure.BROKEN: lambda: answering(500, "InternalError"),
                Failure.FULL: lambda: answering(403, "QuotaExceeded"),
                Failure.SILENT: lambda: failing(timeout()),
            },
        )
