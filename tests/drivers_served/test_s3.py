"""The server keeps its bytes in a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers_served import backends, common
from tests.services.clients import require

SERVERS = [
    pytest.param("rgw_s3", marks=pytest.mark.xdist_group("ceph"), id="rgw"),
    pytest.param("seaweedfs", marks=pytest.mark.xdist_group("seaweedfs"), id="seaweedfs"),
]


@pytest.fixture(params=SERVERS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[common.Backend]:
    with backends.s3(request.getfixturevalue(request.param), tmp_path) as opened:
        yield opened


def test_an_image_by_skopeo(tmp_path: Path, backend: common.Backend) -> None:
    require("skopeo")
    common.check_an_image_by_skopeo(tmp_path, backend)


def test_an_upload_over_two_servers(tmp_path: Path, backend: common.Backend) -> None:
    common.check_an_upload_over_two_servers(tmp_path, backend)


def test_sudden_death_leaves_nothing_behind(tmp_path: Path, backend: common.Backend) -> None:
    common.check_sudden_death(tmp_path, backend)


@pytest.mark.parametrize("mib", [128, pytest.param(2048, marks=pytest.mark.long)])
def test_memory_stays_flat(tmp_path: Path, backend: common.Backend, mib: int) -> None:
    common.check_flat_memory(tmp_path, backend, mib, most_growth=48)
