"""What every one of several stores accepts.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from registry_storage.drivers.api import Driver, MiB, PartLimits
from registry_storage.errors import ConfigurationInvalid

_AT_ONCE = 8 * MiB
"""What `put_blob` takes on drivers that prefer no size."""


def common_limits(drivers: Sequence[Driver]) -> PartLimits:
    """The limits that keep to all of these drivers'.

    Parts are held in memory, whatever each store would like: a stream cannot be sent twice.  Raises
    `ConfigurationInvalid` where what one store demands is more than another takes.
    """
    limits = [driver.limits for driver in drivers]
    smallest = max(one.min_size for one in limits)
    largest = _least([one.max_size for one in limits])
    preferred = _least([largest, *(one.preferred_size or _AT_ONCE for one in limits)])
    assert preferred is not None, "every store has a size that it takes at once"
    if smallest > preferred:
        names = " and ".join(driver.name for driver in drivers)
        raise ConfigurationInvalid(
            f"mirror: {names} cannot be mirrored: one needs parts of at least {smallest} bytes, "
            f"another takes at most {preferred} at once"
        )
    return PartLimits(
        min_size=smallest,
        max_size=largest,
        max_parts=_least([one.max_parts for one in limits]),
        preferred_size=preferred,
        needs_size=any(one.needs_size for one in limits),
        uniform=any(one.uniform for one in limits),
    )


def _least(bounds: Sequence[int | None]) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
