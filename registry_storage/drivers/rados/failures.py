"""Turns what librados says into this project's errors: one table, one place."""

from __future__ import annotations

import errno
import os
from typing import Final

from registry_storage.drivers.rados.layout import Address
from registry_storage.errors import (
    AccessDenied,
    BlobNotFound,
    DriverError,
    DriverTimeout,
    DriverUnavailable,
    NoSpace,
    Throttled,
)

_DENIED = (
    "Ceph does not let {client} do that in pool {pool}: run `ceph auth caps {client} mon 'allow r' "
    "osd 'allow rw pool={pool} namespace={namespace}'`"
)
_FULL = "pool {pool} of Ceph is full: raise its quota or add room, then try again"
_SHUT_OUT = "Ceph has blocklisted this client: start the server again"
_LARGE = "Ceph takes no object that large ({what}): lower storage.rados.chunksize"

_WHILE_WORKING: Final[dict[int, tuple[type[DriverError], str]]] = {
    errno.ENOENT: (BlobNotFound, "the object {what} is gone"),
    errno.EPERM: (AccessDenied, _DENIED),
    errno.EACCES: (AccessDenied, _DENIED),
    errno.ENOSPC: (NoSpace, _FULL),
    errno.EDQUOT: (NoSpace, _FULL),
    errno.ETIMEDOUT: (DriverTimeout, "Ceph did not answer in time ({what}): look at `ceph status`"),
    errno.EAGAIN: (DriverUnavailable, "Ceph could not do it just now ({what}): try again"),
    errno.EBUSY: (Throttled, "Ceph is busy ({what}): try again"),
    errno.ENOTCONN: (DriverUnavailable, "Ceph is not connected ({what}): try again"),
    errno.ECONNRESET: (DriverUnavailable, "the connection to Ceph broke ({what}): try again"),
    errno.EIO: (DriverUnavailable, "Ceph cannot read or write {what}: look at `ceph health`"),
    errno.ESHUTDOWN: (DriverError, _SHUT_OUT),
    errno.EMSGSIZE: (DriverError, _LARGE),
    errno.EFBIG: (DriverError, _LARGE),
    errno.EOPNOTSUPP: (
        DriverError,
        "pool {pool} of Ceph keeps no omap keys: it must be replicated, not erasure-coded",
    ),
}

_WHILE_CONNECTING: Final[dict[int, tuple[type[DriverError], str]]] = {
    errno.EACCES: (
        AccessDenied,
        "Ceph refuses {client}: check that it exists (`ceph auth get {client}`), that {conf} names "
        "its keyring, and that this process may read that",
    ),
    errno.ETIMEDOUT: (
        DriverTimeout,
        "no monitor of Ceph answers: check `mon host` in {conf}, and the network",
    ),
    errno.EINVAL: (
        DriverUnavailable,
        "the monitors of Ceph cannot be found: check `mon host` in {conf}, and the name service",
    ),
    errno.ENOENT: (AccessDenied, "the keyring of {client} cannot be found: {conf} must name it"),
}

_NO_CONF = (
    "{conf} cannot be read ({reason}): name the cluster's ceph.conf in storage.rados.conffile"
)
_NO_POOL = "Ceph has no pool {pool}: make it with `ceph osd pool create {pool}`"
_OTHER = "Ceph failed ({what}): {reason}"


def translated(error: Exception, address: Address, what: str) -> DriverError:
    """The error of this project for one of librados; `what` is the object worked on."""
    return _translated(_WHILE_WORKING, error, address, what)


def not_connected(error: Exception, address: Address) -> DriverError:
    """The same, for connecting to the cluster."""
    return _translated(_WHILE_CONNECTING, error, address, "connecting")


def no_conf(error: Exception, address: Address) -> DriverError:
    """The same, for reading `ceph.conf`."""
    return DriverError(_NO_CONF.format(conf=address.conf, reason=_reason(error)))


def no_pool(error: Exception, address: Address) -> DriverError:
    """The same, for opening the pool."""
    if errno_of(error) == errno.ENOENT:
        return DriverError(_NO_POOL.format(pool=address.poolname))
    return translated(error, address, f"opening pool {address.poolname}")


def errno_of(error: Exception) -> int:
    """The number of the error of librados; 0 where it has none."""
    number: int | None = getattr(error, "errno", None)
    return abs(number or 0)


def _translated(
    table: dict[int, tuple[type[DriverError], str]], error: Exception, address: Address, what: str
) -> DriverError:
    kind, message = table.get(errno_of(error), (DriverError, _OTHER))
    text = message.format(
        pool=address.poolname,
        namespace=address.namespace,
        client=address.client,
        conf=address.conf,
        what=what,
        reason=_reason(error),
    )
    return kind(text, location=what)


def _reason(error: Exception) -> str:
    number = errno_of(error)
    return os.strerror(number) if number else str(error)
