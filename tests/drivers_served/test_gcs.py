"""The server keeps its bytes in a bucket of Google Cloud Storage (an emulator)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers_served import common
from tests.services.clients import require
from tests.services.fake_gcs import FakeGcs, service_account_key

pytestmark = pytest.mark.xdist_group("fake-gcs")


@pytest.fixture(params=[False, True], ids=["served", "redirected"])
def redirected(request: pytest.FixtureRequest) -> bool:
    """Whether clients are sent to the store itself."""
    return bool(request.param)


def backend(fake_gcs: FakeGcs, *, redirected: bool = False) -> common.Backend:
    bucket = fake_gcs.new_bucket()
    settings = {"bucket": bucket}
    if redirected:
        settings |= {"credentials": service_account_key()}
    return common.Backend(
        {"gcs": settings},
        lambda: [key for key in fake_gcs.keys(bucket) if key.startswith("uploads/")],
    )


def test_an_image_by_skopeo(tmp_path: Path, fake_gcs: FakeGcs, redirected: bool) -> None:
    require("skopeo")
    common.check_an_image_by_skopeo(tmp_path, backend(fake_gcs, redirected=redirected))


def test_an_upload_over_two_servers(tmp_path: Path, fake_gcs: FakeGcs) -> None:
    common.check_an_upload_over_two_servers(tmp_path, backend(fake_gcs))


def test_sudden_death_leaves_nothing_behind(tmp_path: Path, fake_gcs: FakeGcs) -> None:
    common.check_sudden_death(tmp_path, backend(fake_gcs))


@pytest.mark.parametrize("mib", [128, pytest.param(2048, marks=pytest.mark.long)])
def test_memory_stays_flat(tmp_path: Path, fake_gcs: FakeGcs, mib: int) -> None:
    common.check_flat_memory(tmp_path, backend(fake_gcs), mib, most_growth=48)
