"""A bounded memory of immutable bytes by digest.

It holds *bytes* only.  Whether a repository may serve them is asked of the catalog every time, so
that what was deleted is gone at once on every node.
"""

from __future__ import annotations

from collections import OrderedDict


class BytesCache:
    """The most recently used byte strings, `capacity` bytes of them in all."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._entries: OrderedDict[str, bytes] = OrderedDict()

    def get(self, digest: str) -> bytes | None:
        """The bytes with that digest, if they are remembered."""
        found = self._entries.get(digest)
        if found is not None:
            self._entries.move_to_end(digest)
        return found

    def add(self, digest: str, data: bytes) -> None:
        """Remember `data`, and forget what was used longest ago where there is no room."""
        if digest in self._entries:
            return
        self._entries[digest] = data
        self._used += len(data)
        while self._used > self._capacity:
            _, forgotten = self._entries.popitem(last=False)
            self._used -= len(forgotten)
