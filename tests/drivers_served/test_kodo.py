"""The server keeps its bytes in a bucket of Qiniu Kodo (a local server of that protocol)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers_served import common
from tests.services.clients import require
from tests.services.kodo import KodoServer

pytestmark = pytest.mark.xdist_group("kodo")


@pytest.fixture
def backend(kodo: KodoServer, kodo_bucket: str) -> common.Backend:
    def parts() -> list[str]:
        """Of uploads under way.  One without parts may be left: nobody can find it, it expires."""
        uploads = kodo.uploads(kodo_bucket).items()
        return [f"{upload_id}/{number}" for upload_id, it in uploads for number in it["parts"]]

    return common.Backend({"kodo": kodo.settings(kodo_bucket)}, parts)


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
    common.check_flat_memory(tmp_path, backend, mib, most_growth=48)
