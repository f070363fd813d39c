"""The stores that registry servers are tried on, each of them scratch, and on a real service.

`ALL` parametrises what wants every one of them; the marks in it keep the tests of a service on one
worker, so that it is started once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.rados_pool import fresh_address, settings_for, uploads_in
from tests.drivers_served.common import Backend
from tests.services.buckets import S3Account
from tests.services.ceph import CephCluster
from tests.services.containers import Login, ScratchFolder, scratch_folder
from tests.services.fake_gcs import FakeGcs, service_account_key
from tests.services.kodo import KodoServer


@dataclass(frozen=True, slots=True)
class Store:
    """How to open a scratch store."""

    service: str
    """The fixture with the server that it is on."""
    open: Callable[[Any, Path], AbstractContextManager[Backend]]
    """Given the service and an empty folder."""


@contextmanager
def s3(account: S3Account, _folder: Path) -> Iterator[Backend]:
    """A bucket."""
    with account.bucket() as bucket:
        yield Backend({"s3": bucket.settings}, bucket.parts)


@contextmanager
def rados(cluster: CephCluster, _folder: Path) -> Iterator[Backend]:
    """A namespace of a pool."""
    address = fresh_address(cluster)
    yield Backend({"rados": settings_for(address)}, lambda: uploads_in(address))


@contextmanager
def gcs(fake_gcs: FakeGcs, _folder: Path) -> Iterator[Backend]:
    """A bucket, to which clients are sent."""
    bucket = fake_gcs.new_bucket()
    yield Backend(
        {"gcs": {"bucket": bucket, "credentials": service_account_key()}},
        lambda: [key for key in fake_gcs.keys(bucket) if key.startswith("uploads/")],
    )


@contextmanager
def swift(login: Login, _folder: Path) -> Iterator[Backend]:
    """A folder of a container; URLs can be signed."""
    with scratch_folder(login) as folder:
        settings = {**folder.settings, "secretkey": "signs the URLs"}
        yield Backend({"swift": settings}, lambda: _unpublished(folder))


def _unpublished(folder: ScratchFolder) -> list[str]:
    """Heads of uploads, and segments that belong to no blob."""
    names = [name.split(f"{folder.prefix}/", 1)[1] for name in folder.names()]
    published = {name.removeprefix("blobs/") for name in names if name.startswith("blobs/")}
    segments = [name for name in names if name.startswith("segments/")]
    loose = [name for name in segments if name.split("/")[1] not in published]
    return loose + [name for name in names if name.startswith("uploads/")]


@contextmanager
def kodo(server: KodoServer, _folder: Path) -> Iterator[Backend]:
    """A private bucket."""
    bucket = server.make_bucket()

    def parts() -> list[str]:
        """Of uploads under way.  One without parts may be left: nobody can find it, it expires."""
        uploads = server.uploads(bucket).items()
        return [f"{upload_id}/{number}" for upload_id, it in uploads for number in it["parts"]]

    try:
        yield Backend({"kodo": server.settings(bucket)}, parts)
    finally:
        server.drop_bucket(bucket)


@contextmanager
def mirror(account: S3Account, folder: Path) -> Iterator[Backend]:
    """A folder and a bucket."""
    with account.bucket() as bucket:
        stores = [{"filesystem": {"rootdirectory": str(folder / "near")}}, {"s3": bucket.settings}]
        yield Backend({"mirror": {"stores": stores}}, bucket.parts)


@contextmanager
def cache(account: S3Account, folder: Path) -> Iterator[Backend]:
    """A cache in a folder, before a bucket."""
    with account.bucket() as bucket:
        settings = {
            "store": {"s3": bucket.settings},
            "directory": str(folder / "cache"),
            "size": "64MiB",
        }
        yield Backend({"cache": settings}, bucket.parts)


def _named(name: str, group: str, store: Store) -> Any:
    return pytest.param(store, id=name, marks=pytest.mark.xdist_group(group))


ALL = [
    _named("s3-seaweedfs", "seaweedfs", Store("seaweedfs", s3)),
    _named("s3-rgw", "ceph", Store("rgw_s3", s3)),
    _named("rados", "ceph", Store("ceph", rados)),
    _named("gcs", "fake-gcs", Store("fake_gcs", gcs)),
    _named("swift", "swift", Store("swift_server", swift)),
    _named("swift-rgw", "ceph", Store("rgw_swift", swift)),
    _named("kodo", "kodo", Store("kodo", kodo)),
    _named("mirror", "seaweedfs", Store("seaweedfs", mirror)),
    _named("cache", "seaweedfs", Store("seaweedfs", cache)),
]
"""Every driver on every server that it is tested on."""
