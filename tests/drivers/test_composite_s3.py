"""A mirror of a folder and a bucket, and a cache before a bucket, pass the suite (SeaweedFS)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_storage.drivers.api import ForeignData
from registry_storage.plugins import open_driver
from registry_storage.testing import DriverHarness
from registry_storage.testing.suite import *  # noqa: F403
from tests.services.buckets import S3Account

pytestmark = pytest.mark.xdist_group("seaweedfs")


@pytest.fixture(params=["mirror", pytest.param("cache", marks=pytest.mark.long)])
def harness(
    request: pytest.FixtureRequest, tmp_path: Path, seaweedfs: S3Account
) -> Iterator[DriverHarness]:
    with seaweedfs.bucket() as bucket:
        remote = {"s3": bucket.settings}
        settings = {
            "mirror": {"stores": [{"filesystem": {"rootdirectory": str(tmp_path)}}, remote]},
            "cache": {"store": remote, "directory": str(tmp_path), "size": "64MiB"},
        }[request.param]
        yield DriverHarness(
            open=lambda: open_driver(request.param, settings),
            extensions=frozenset({ForeignData}),
            residue=lambda: (bucket.all_keys(), bucket.uploads()),
        )
