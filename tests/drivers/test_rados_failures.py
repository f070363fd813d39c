"""What goes wrong with Ceph comes out as one clear line."""

from __future__ import annotations

import errno
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from registry_storage.drivers.rados import RadosDriver, failures, layout, pool
from registry_storage.drivers.rados.layout import Address
from registry_storage.drivers.rados.pool import Change, Pool, binding
from registry_storage.errors import (
    AccessDenied,
    ConfigurationInvalid,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    SdkMissing,
    Throttled,
    TransientError,
)
from registry_storage.plugins import open_driver
from registry_storage.testing.material import new_id
from tests.drivers.rados_pool import fresh_address, opened, settings_for
from tests.services.ceph import CephCluster
from tests.services.processes import free_port

pytestmark = pytest.mark.xdist_group("ceph")

SOMEWHERE = Address("registry", "images", "client.registry", "/etc/ceph/ceph.conf")


@pytest.fixture
def address(ceph: CephCluster) -> Address:
    return fresh_address(ceph)


async def refused(address: Address) -> DriverError:
    """The error with which a driver does not start."""
    driver = RadosDriver(Pool(binding(), address), 1)
    with pytest.raises(DriverError) as raised:
        await driver.start()
    await driver.close()
    assert "\n" not in str(raised.value)
    return raised.value


def conf_with(ceph: CephCluster, folder: Path, setting: str) -> str:
    """The cluster's `ceph.conf` with one setting changed."""
    key = setting.partition(" = ")[0]
    lines = ceph.conffile.read_text().splitlines()
    changed = [setting if line.startswith(f"{key} =") else line for line in lines]
    assert changed != lines
    file = folder / "ceph.conf"
    file.write_text("\n".join([*changed, ""]))
    return str(file)


def new_user(ceph: CephCluster, *capabilities: str) -> tuple[str, str]:
    """A user of the cluster, and its key."""
    client = f"client.{secrets.token_hex(4)}"
    ceph.run("ceph", "auth", "add", client, *capabilities)
    return client, ceph.run("ceph", "auth", "print-key", client)


def keyring_of(folder: Path, client: str, key: str) -> str:
    """The setting that names a keyring with this key."""
    file = folder / "keyring"
    file.write_text(f"[{client}]\nkey = {key}\n")
    return f"keyring = {file}"


async def test_no_conf(address: Address, tmp_path: Path) -> None:
    error = await refused(replace(address, conffile=str(tmp_path / "absent.conf")))
    assert "absent.conf cannot be read (No such file or directory)" in str(error)
    assert "storage.rados.conffile" in str(error)


async def test_no_such_pool(address: Address) -> None:
    error = await refused(replace(address, poolname="absent"))
    assert "no pool absent: make it with `ceph osd pool create absent`" in str(error)
    assert not isinstance(error, TransientError)


async def test_no_such_user(address: Address) -> None:
    error = await refused(replace(address, client="client.absent"))
    assert isinstance(error, AccessDenied)
    assert "Ceph refuses client.absent" in str(error)


async def test_a_wrong_key(ceph: CephCluster, address: Address, tmp_path: Path) -> None:
    _, key = new_user(ceph, "mon", "allow r")
    conffile = conf_with(ceph, tmp_path, keyring_of(tmp_path, address.client, key))
    error = await refused(replace(address, conffile=conffile))
    assert isinstance(error, AccessDenied)
    assert f"check that it exists (`ceph auth get {address.client}`)" in str(error)


@pytest.mark.parametrize(
    "capability",
    ["allow r pool={}", "allow rw pool=another", "allow rw pool={} namespace=another"],
)
async def test_a_user_who_may_not_write_there(
    ceph: CephCluster, address: Address, tmp_path: Path, capability: str
) -> None:
    client, key = new_user(ceph, "mon", "allow r", "osd", capability.format(address.poolname))
    conffile = conf_with(ceph, tmp_path, keyring_of(tmp_path, client, key))
    error = await refused(replace(address, client=client, conffile=conffile))
    assert isinstance(error, AccessDenied)
    assert f"osd 'allow rw pool={address.poolname} namespace={address.namespace}'" in str(error)


async def test_a_user_who_may_do_what_the_message_says(
    ceph: CephCluster, address: Address, tmp_path: Path
) -> None:
    least = f"allow rw pool={address.poolname} namespace={address.namespace}"
    client, key = new_user(ceph, "mon", "allow r", "osd", least)
    conffile = conf_with(ceph, tmp_path, keyring_of(tmp_path, client, key))
    allowed = Pool(binding(), replace(address, client=client, conffile=conffile))
    driver = RadosDriver(allowed, 1)
    await driver.start()
    await driver.close()


async def test_no_monitor_answers(
    ceph: CephCluster, address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pool.PATIENCE, "client_mount_timeout", ("300", "1"))
    conffile = conf_with(ceph, tmp_path, f"mon host = [v2:127.0.0.1:{free_port()}/0]")
    error = await refused(replace(address, conffile=conffile))
    assert isinstance(error, DriverTimeout)
    assert f"check `mon host` in {conffile}" in str(error)


async def test_a_cluster_that_falls_silent(
    ceph: CephCluster, address: Address, tmp_path: Path
) -> None:
    conffile = conf_with(ceph, tmp_path, "run dir = /run\nrados osd op timeout = 1")
    driver = RadosDriver(Pool(binding(), replace(address, conffile=conffile)), 100)
    await driver.start()
    blob = await driver.put_blob(new_id(), [b"hello"], None)
    with ceph.silent():
        with pytest.raises(DriverTimeout, match="ceph status"):
            await driver.put_blob(new_id(), [b"hello"], None)
        with pytest.raises(DriverTimeout, match="ceph status"):
            await driver.stat_blob(blob.location)
    assert await driver.stat_blob(blob.location) == blob
    await driver.close()


async def test_monitors_without_an_address(
    ceph: CephCluster, address: Address, tmp_path: Path
) -> None:
    conffile = conf_with(ceph, tmp_path, "mon host = ceph.invalid")
    error = await refused(replace(address, conffile=conffile))
    assert isinstance(error, DriverUnavailable)
    assert "cannot be found" in str(error)


async def test_a_namespace_in_a_newer_format(address: Address) -> None:
    with opened(Pool(binding(), address)) as newer:
        newer.change(layout.FORMAT, Change({}, {layout.FORMAT_KEY: "2"}))
    assert "in format 2 by a newer version" in str(await refused(address))


def test_an_object_above_the_limits_of_the_cluster(address: Address) -> None:
    with opened(Pool(binding(), address)) as made:
        with pytest.raises(DriverError, match=r"lower storage\.rados\.chunksize"):
            made.write("large", bytes((90 << 20) + 1))
        made.write("large", bytes(90 << 20))
        made.remove(["large"])


def test_a_pool_that_is_not_open(address: Address) -> None:
    calls: list[Callable[[Pool], object]] = [
        lambda made: made.read("object", 1),
        lambda made: made.write("object", b""),
        lambda made: made.values("directory", "key"),
    ]
    for call in calls:
        with pytest.raises(DriverUnavailable, match="not open"):
            call(Pool(binding(), address))


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.EPERM, AccessDenied, "ceph auth caps client.registry"),
        (errno.ENOSPC, NoSpace, "pool registry of Ceph is full"),
        (errno.EDQUOT, NoSpace, "pool registry of Ceph is full"),
        (errno.ETIMEDOUT, DriverTimeout, "ceph status"),
        (errno.EBUSY, Throttled, "try again"),
        (errno.EAGAIN, DriverUnavailable, "try again"),
        (errno.ECONNRESET, DriverUnavailable, "broke"),
        (errno.EIO, DriverUnavailable, "ceph health"),
        (errno.ESHUTDOWN, DriverError, "start the server again"),
        (errno.EFBIG, DriverError, "chunksize"),
        (errno.EOPNOTSUPP, DriverError, "must be replicated"),
        (errno.EDOM, DriverError, "Numerical argument out of domain"),
    ],
)
def test_an_error_of_librados(number: int, kind: type[DriverError], says: str) -> None:
    error = failures.translated(OSError(number, "what librados says"), SOMEWHERE, "data.1")
    assert type(error) is kind
    assert says in str(error)


def test_an_error_without_a_number() -> None:
    error = failures.translated(RuntimeError("what it says"), SOMEWHERE, "data.1")
    assert str(error) == "Ceph failed (data.1): what it says"


def test_without_librados_the_message_names_the_package(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rados", None)
    with pytest.raises(SdkMissing, match="python3-rados"):
        open_driver("rados", settings_for(address))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "storage.rados.poolname"),
        ({"poolname": "p", "chunksize": 100 << 20}, "storage.rados.chunksize"),
        ({"poolname": "p", "namespace": ""}, "storage.rados.namespace"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=says):
        open_driver("rados", settings)
