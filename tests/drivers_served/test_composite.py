"""The server keeps its bytes in a mirror of two folders, one of them behind a cache."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from registry_storage import Digest
from tests.clients.content import Wire
from tests.drivers_served import common
from tests.drivers_served.common import Backend, serving
from tests.reliability.pushing import Client
from tests.services.clients import require


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    near, far = tmp_path / "near", tmp_path / "far"
    cached = {
        "store": {"filesystem": {"rootdirectory": str(far)}},
        "directory": str(tmp_path / "cache"),
        "size": "64MiB",
    }

    def under_way() -> list[str]:
        roots = [root / "uploads" for root in (near, far) if root.exists()]
        return sorted(str(path) for root in roots for path in root.rglob("*"))

    stores = [{"filesystem": {"rootdirectory": str(near)}}, {"cache": cached}]
    return Backend({"mirror": {"stores": stores}}, under_way)


def test_an_image_by_skopeo(tmp_path: Path, backend: Backend) -> None:
    require("skopeo")
    common.check_an_image_by_skopeo(tmp_path, backend)


def test_an_upload_over_two_servers(tmp_path: Path, backend: Backend) -> None:
    common.check_an_upload_over_two_servers(tmp_path, backend)


@pytest.mark.parametrize("mib", [128, pytest.param(2048, marks=pytest.mark.long)])
def test_memory_stays_flat(tmp_path: Path, backend: Backend, mib: int) -> None:
    common.check_flat_memory(tmp_path, backend, mib, most_growth=64)


def test_sudden_death_leaves_nothing_behind(tmp_path: Path, backend: Backend) -> None:
    common.check_sudden_death(tmp_path, backend)


def test_a_store_that_was_lost_is_filled_again_by_what_is_pulled(
    tmp_path: Path, backend: Backend
) -> None:
    blob = bytes(range(256)) * 4096 * 9
    with serving(tmp_path, backend) as server:
        digest = _pushed(server.url, blob)
    lost = _copies(tmp_path / "near", digest)
    assert len(lost) == 1
    shutil.rmtree(tmp_path / "near")
    with serving(tmp_path, backend, log="two") as server:
        assert Wire(server.url).get(f"a/blobs/{digest}").body == blob
        common._wait_until(lambda: _copies(tmp_path / "near", digest) == lost)
    shutil.rmtree(tmp_path / "far")
    shutil.rmtree(tmp_path / "cache")
    with serving(tmp_path, backend, log="three") as server:
        assert Wire(server.url).get(f"a/blobs/{digest}").body == blob


def _pushed(url: str, blob: bytes) -> Digest:
    client = Client([url], random.Random(0))
    location = client.send("POST", "/v2/a/blobs/uploads/").headers["Location"]
    digest = Digest.of(blob)
    assert client.send("PUT", f"{location}?digest={digest}", blob).status == 201
    return digest


def _copies(root: Path, digest: Digest) -> list[Path]:
    """The files of blobs of that digest."""
    return [path.relative_to(root) for path in root.glob(f"blobs/*/*/{digest.hex}.*")]
