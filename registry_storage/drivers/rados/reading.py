"""A range of a blob, read from the objects that hold it, one after the other.  Blocking."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from registry_storage.drivers.rados.pool import Pool
from registry_storage.errors import DriverError


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of bytes within one object."""

    name: str
    offset: int
    size: int


class Reading:
    """The bytes of extents.  It holds nothing that must be freed."""

    def __init__(self, pool: Pool, extents: Iterable[Extent]) -> None:
        self._pool = pool
        self._extents = deque(extents)
        self.remaining = sum(extent.size for extent in self._extents)

    def next_piece(self, size: int) -> bytes:
        """The next bytes, at most `size`, all of one object; never none."""
        extent = self._extents.popleft()
        size = min(size, extent.size)
        data = self._pool.read(extent.name, size, extent.offset)
        if len(data) != size:
            raise DriverError(f"the object {extent.name} is shorter than it was written")
        if size < extent.size:
            rest = replace(extent, offset=extent.offset + size, size=extent.size - size)
            self._extents.appendleft(rest)
        self.remaining -= size
        return data

    def close(self) -> None:
        """Nothing is left to do."""
