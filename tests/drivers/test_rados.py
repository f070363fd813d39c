"""The rados driver passes the suite, on a real cluster."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from registry_storage.drivers.api import Driver, MiB
from registry_storage.drivers.rados import RadosDriver
from registry_storage.drivers.rados.pool import Pool, binding
from registry_storage.testing import DriverHarness, Failure
from registry_storage.testing.suite import *  # noqa: F403
from tests.drivers.rados_pool import fresh_address, keys_in, objects_in
from tests.services.ceph import CephCluster

pytestmark = pytest.mark.xdist_group("ceph")

CHUNK = 4 * MiB


class FailingRados:
    """The module `rados`; while `number` is set, objects cannot be written."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._rados = binding()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rados, name)

    def Rados(self, **settings: Any) -> Any:  # as the binding calls it
        return _Wrapped(self._rados.Rados(**settings), open_ioctx=self._open_ioctx)

    @contextmanager
    def failing_with(self, number: int) -> Iterator[None]:
        """Every object that is written within is refused with this error."""
        self.number = number
        yield
        self.number = None

    def _open_ioctx(self, cluster: Any, pool: str) -> Any:
        return _Wrapped(cluster.open_ioctx(pool), write_full=self._write_full)

    def _write_full(self, io: Any, name: str, data: bytes) -> None:
        if self.number is not None:
            raise self._rados.OSError("made to fail", errno=self.number)
        io.write_full(name, data)


class _Wrapped:
    """An object of librados with some methods replaced; each gets the object first."""

    def __init__(self, inner: Any, **replaced: Callable[..., Any]) -> None:
        self._inner, self._replaced = inner, replaced

    def __getattr__(self, name: str) -> Any:
        if replacement := self._replaced.get(name):
            return lambda *arguments: replacement(self._inner, *arguments)
        return getattr(self._inner, name)


@pytest.fixture
def harness(ceph: CephCluster) -> DriverHarness:
    address = fresh_address(ceph)
    rados = FailingRados()

    def failing(number: int) -> Callable[[], AbstractContextManager[None]]:
        return lambda: rados.failing_with(number)

    def opened() -> Driver:
        return RadosDriver(Pool(rados, address), CHUNK)

    return DriverHarness(
        open=opened,
        residue=lambda: (objects_in(address), keys_in(address)),
        failures={
            Failure.FORBIDDEN: failing(errno.EPERM),
            Failure.THROTTLED: failing(errno.EBUSY),
            Failure.BROKEN: failing(errno.EIO),
            Failure.SILENT: failing(errno.ETIMEDOUT),
            Failure.FULL: failing(errno.ENOSPC),
        },
    )
