"""Namespaces of a real pool for tests of the rados driver, and all that lies in one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from registry_storage.drivers.rados import layout
from registry_storage.drivers.rados.layout import Address
from registry_storage.drivers.rados.pool import Pool, binding
from tests.services.ceph import CephCluster, require_binding


def fresh_address(ceph: CephCluster) -> Address:
    """A namespace that nobody else uses."""
    require_binding()
    namespace = f"test-{secrets.token_hex(8)}"
    return Address(ceph.pool, namespace, f"client.{ceph.user}", str(ceph.conffile))


def settings_for(address: Address) -> dict[str, str]:
    """The driver's settings that lead there."""
    return {
        "poolname": address.poolname,
        "username": address.client,
        "conffile": address.conffile,
        "namespace": address.namespace,
    }


@contextmanager
def opened(pool: Pool) -> Iterator[Pool]:
    """The pool, open."""
    pool.open()
    try:
        yield pool
    finally:
        pool.close()


def keys_in(address: Address) -> list[str]:
    """All keys of the directories, sorted."""
    with opened(Pool(binding(), address)) as pool:
        return sorted(key for name in layout.directories() for key, _ in pool.keys(name, ""))


def uploads_in(address: Address) -> list[str]:
    """All that lies in the namespace of uploads under way."""
    return [key for key in keys_in(address) if key.startswith(("upload/", "part/"))]


def objects_in(address: Address) -> list[str]:
    """The names of all objects, sorted, but those that stay: directories, and the format."""
    rados = binding()
    with (
        rados.Rados(name=address.client, conffile=address.conffile) as cluster,
        cluster.open_ioctx(address.poolname) as io,
    ):
        io.set_namespace(address.namespace)
        names = [found.key for found in io.list_objects()]
    return sorted(name for name in names if not name.startswith(("directory.", "format")))
