"""The Ceph fixtures give what they promise."""

from __future__ import annotations

import subprocess
from pathlib import Path

import boto3
import pytest
import swiftclient

from tests.services.ceph import CephCluster, S3Account, SwiftAccount

pytestmark = pytest.mark.xdist_group("ceph")


def _as_user(ceph: CephCluster, *arguments: str) -> str:
    return ceph.run("rados", "--name", f"client.{ceph.user}", *arguments)


def test_the_user_may_use_the_pool(ceph: CephCluster, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"what is stored")
    pool = ("--pool", ceph.pool, "--namespace", "fixtures")
    _as_user(ceph, *pool, "put", "object", str(file))
    assert _as_user(ceph, *pool, "get", "object", "-") == "what is stored"


def test_the_user_may_use_no_other_pool(ceph: CephCluster) -> None:
    ceph.run("ceph", "osd", "pool", "create", "other", "1")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        _as_user(ceph, "--pool", "other", "put", "object", "/dev/null")
    assert "Operation not permitted" in refused.value.stderr


def test_the_gateway_speaks_s3(rgw_s3: S3Account) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=rgw_s3.endpoint,
        region_name="default",
        aws_access_key_id=rgw_s3.access_key,
        aws_secret_access_key=rgw_s3.secret_key,
    )
    client.create_bucket(Bucket="s3-fixtures")
    client.put_object(Bucket="s3-fixtures", Key="key", Body=b"what is stored")
    assert client.get_object(Bucket="s3-fixtures", Key="key")["Body"].read() == b"what is stored"


def test_the_gateway_speaks_swift(rgw_swift: SwiftAccount) -> None:
    connection = swiftclient.Connection(rgw_swift.auth_url, rgw_swift.user, rgw_swift.key)
    connection.put_container("swift-fixtures")
    connection.put_object("swift-fixtures", "key", b"what is stored")
    assert connection.get_object("swift-fixtures", "key")[1] == b"what is stored"
