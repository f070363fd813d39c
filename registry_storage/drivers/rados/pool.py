"""One namespace of a pool: objects, and directories of keys.  Blocking; many threads may call."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from registry_storage.drivers.rados import failures
from registry_storage.drivers.rados.layout import Address
from registry_storage.errors import DriverUnavailable, SdkMissing

PAGE: Final = 256
"""So many keys are read at once, of each prefix."""

REMOVALS_AT_ONCE: Final = 64

PATIENCE: Final = {
    "client_mount_timeout": ("300", "10"),
    "rados_mon_op_timeout": ("0", "30"),
    "rados_osd_op_timeout": ("0", "60"),
}
"""Seconds: by librados' own default, most of them without end, and here in place of that."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to a directory, as a whole or not at all."""

    expect: Mapping[str, str | None]
    """The values that keys must have for it to happen; None: the key must be absent."""
    put: Mapping[str, str]
    drop: Sequence[str] = ()


def binding() -> Any:
    """The module `rados`.  Raises `SdkMissing`."""
    try:
        return importlib.import_module("rados")
    except ImportError as error:
        raise SdkMissing(
            f"the rados driver needs librados and its Python binding ({error}), which no package "
            "index has: install the system's package (python3-rados on Debian and Ubuntu) and link "
            "it into this environment, as docs/howto/storage-rados.md shows"
        ) from error


class Pool:
    """Must be opened before anything else; using librados after its end crashes the process."""

    def __init__(self, rados: Any, address: Address) -> None:
        self._rados = rados
        self._address = address
        self._cluster: Any = None
        self._io: Any = None

    def open(self) -> None:
        """Connect.  An error names what is wrong and what to do."""
        try:
            self._connect()
            self._io = self._opened_pool()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect, when no call is under way any more."""
        if self._io is not None:
            self._io.close()
        if self._cluster is not None:
            self._cluster.shutdown()
        self._io = self._cluster = None

    # Objects

    def write(self, name: str, data: bytes) -> None:
        """Write an object, whole and durable."""
        with self._working_on(name) as io:
            io.write_full(name, data)

    def read(self, name: str, size: int, offset: int = 0) -> bytes:
        """Bytes of an object, fewer where it ends.  Raises `BlobNotFound`."""
        with self._working_on(name) as io:
            data: bytes = io.read(name, size, offset)
            return data

    def read_all(self, name: str) -> bytes:
        """All bytes of an object, which must not be large.  Raises `BlobNotFound`."""
        with self._working_on(name) as io:
            size, _ = io.stat(name)
            data: bytes = io.read(name, size)
            return data

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, some at a time; what is not there is a success."""
        rest = iter(names)
        while batch := list(islice(rest, REMOVALS_AT_ONCE)):
            with self._working_on(batch[0]) as io:
                removals = [io.aio_remove(name) for name in batch]
                for removal in removals:
                    removal.wait_for_complete()
                for removal in removals:
                    self._check(removal.get_return_value())

    # Directories

    def change(self, directory: str, change: Change) -> bool:
        """Change the keys of a directory, durably and for everybody at once.

        False, and nothing has happened, if it is not as expected.
        """
        rados = self._rados
        with self._working_on(directory) as io, rados.WriteOpCtx() as operation:
            operation.new(rados.LIBRADOS_CREATE_IDEMPOTENT)
            for key, value in change.expect.items():
                operation.omap_cmp(key, value or "")  # an absent key compares as an empty value
            if change.put:
                values = tuple(value.encode() for value in change.put.values())
                io.set_omap(operation, tuple(change.put), values)
            if change.drop:
                io.remove_omap_keys(operation, tuple(change.drop))
            return self._applied(io, operation, directory)

    def keys(self, directory: str, *prefixes: str) -> Iterator[tuple[str, str]]:
        """The keys that begin with one of the prefixes, and their values; in pages.

        Each page is read at one moment, for all the prefixes; prefixes that have ended are left out
        of the next.
        """
        reached = dict.fromkeys(prefixes, "")
        while reached:
            for prefix, found in self._page(directory, reached):
                yield from found
                if found:
                    reached[prefix] = found[-1][0]
                else:
                    del reached[prefix]

    def values(self, directory: str, *keys: str) -> dict[str, str]:
        """Those of the keys that are there, and their values, at one moment."""
        with self._working_on(directory) as io, self._rados.ReadOpCtx() as operation:
            found, _ = io.get_omap_vals_by_keys(operation, keys)
            return dict(self._rows(found)) if self._is_there(io, operation, directory) else {}

    def _page(
        self, directory: str, reached: Mapping[str, str]
    ) -> list[tuple[str, list[tuple[str, str]]]]:
        with self._working_on(directory) as io, self._rados.ReadOpCtx() as operation:
            asked = [
                (prefix, io.get_omap_vals(operation, after, prefix, PAGE)[0])
                for prefix, after in reached.items()
            ]
            there = self._is_there(io, operation, directory)
            return [(prefix, self._rows(rows) if there else []) for prefix, rows in asked]

    def _rows(self, rows: Iterable[tuple[str, bytes]]) -> list[tuple[str, str]]:
        return [(key, (value or b"").decode()) for key, value in rows]

    # librados

    def _connect(self) -> None:
        address = self._address
        conffile = address.conffile or self._rados.Rados.DEFAULT_CONF_FILES
        try:
            self._cluster = self._rados.Rados(name=address.client, conffile=conffile)
        except self._rados.Error as error:
            raise failures.no_conf(error, address) from error
        for setting, (default, ours) in PATIENCE.items():
            if self._cluster.conf_get(setting) == default:
                self._cluster.conf_set(setting, ours)
        try:
            self._cluster.connect()
        except self._rados.Error as error:
            raise failures.not_connected(error, address) from error

    def _opened_pool(self) -> Any:
        try:
            io = self._cluster.open_ioctx(self._address.poolname)
        except self._rados.Error as error:
            raise failures.no_pool(error, self._address) from error
        io.set_namespace(self._address.namespace)
        io.set_osdmap_full_try()  # be told of a full pool, instead of waiting until it has room
        return io

    @contextmanager
    def _working_on(self, what: str) -> Iterator[Any]:
        """The open pool; errors of librados inside come out as ours."""
        if self._io is None:
            raise DriverUnavailable("the store is not open", location=what)
        try:
            yield self._io
        except self._rados.Error as error:
            raise failures.translated(error, self._address, what) from error

    def _applied(self, io: Any, operation: Any, directory: str) -> bool:
        try:
            io.operate_write_op(operation, directory)
        except self._rados.OSError as error:
            if failures.errno_of(error) == errno.ECANCELED:
                return False
            raise
        return True

    def _is_there(self, io: Any, operation: Any, directory: str) -> bool:
        try:
            io.operate_read_op(operation, directory)
        except self._rados.ObjectNotFound:
            return False
        return True

    def _check(self, returned: int) -> None:
        if returned not in (0, -errno.ENOENT):
            raise self._rados.OSError("removing failed", errno=-returned)
