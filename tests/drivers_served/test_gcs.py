"""The server keeps its bytes in a bucket of Google Cloud Storage (an emulator)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers_served import backends, common
from tests.services.clients import require
from tests.services.fake_gcs import FakeGcs

pytestmark = pytest.mark.xdist_group("fake-gcs")


@pytest.fixture
def backend(fake_gcs: FakeGcs, tmp_path: Path) -> Iterator[common.Backend]:
    with backends.gcs(fake_gcs, tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("redirects", [True, False], ids=["redirected", "served"])
def test_an_image_by_skopeo(tmp_path: Path, backend: common.Backend, redirects: bool) -> None:
    require("skopeo")
    storage = {**backend.storage, "redirect": {"disable": not redirects}}
    common.check_an_image_by_skopeo(tmp_path, common.Backend(storage, backend.under_way))


def test_an_upload_over_two_servers(tmp_path: Path, backend: common.Backend) -> None:
    common.check_an_upload_over_two_servers(tmp_path, backend)


def test_sudden_death_leaves_nothing_behind(tmp_path: Path, backend: common.Backend) -> None:
    common.check_sudden_death(tmp_path, backend)


@pytest.mark.parametrize("mib", [128, pytest.param(2048, marks=pytest.mark.long)])
def test_memory_stays_flat(tmp_path: Path, backend: common.Backend, mib: int) -> None:
    storage = {**backend.storage, "redirect": {"disable": True}}
    flat = common.Backend(storage, backend.under_way)
    common.check_flat_memory(tmp_path, flat, mib, most_growth=48)
