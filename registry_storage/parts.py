"""How a stream of bytes is cut into parts that a store accepts.  Pure: no driver, no catalog.

What a request brings is cut into parts of `PartPlan.part_size`.  What is left over at its end is
a part too if `is_part` says so; else it is a *tail*, and the next request's bytes go behind it.

    request 1   ├── part 1 ──┼── part 2 ──┼─ tail ─┤
    request 2                             ┊        ├───────┼── part 4 ──┼─ part 5 ─┤
                                          ├──── part 3 ────┤
"""

from __future__ import annotations

from dataclasses import dataclass

from registry_storage.drivers.api import KiB, MiB, PartLimits

ROW_TAIL = 64 * KiB
"""Tails up to this size, in bytes, lie in the catalog; larger ones in the driver."""

_WHOLE_LIMIT = 8 * MiB
"""What `put_blob` takes on drivers that prefer no size."""

_DOUBLINGS = 7
"""How often parts double in size before the numbers run out."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """How the uploads of a store are cut.  All sizes in bytes."""

    limits: PartLimits
    settled_size: int | None = None
    """What an upload's equal parts were settled at when it began; None: it is not settled yet."""

    @property
    def streams(self) -> bool:
        """Whether the store takes a whole request as one part, as it comes."""
        return self.limits.preferred_size is None

    @property
    def whole_limit(self) -> int:
        """The largest blob, or tail, that `put_blob` takes."""
        return self.limits.preferred_size or _WHOLE_LIMIT

    @property
    def fixed_size(self) -> int | None:
        """Of all parts but the last, where the store wants equal ones; else None."""
        return self._first_size if self.limits.uniform else None

    @property
    def min_part(self) -> int:
        """The smallest leftover that is a part, not a tail."""
        if self.limits.uniform:
            return self._first_size
        return min(max(self.limits.min_size, ROW_TAIL), self._first_size)

    @property
    def min_chunk(self) -> int | None:
        """The smallest chunk that a client should send; None: the store needs none announced."""
        return self.min_part if self.min_part > ROW_TAIL else None

    @property
    def max_blob(self) -> int | None:
        """The largest blob that parts of the planned sizes can hold; None: no bound."""
        if self.limits.max_parts is None or self.streams:
            return None
        return sum(map(self.part_size, range(1, self.limits.max_parts + 1)))

    def part_size(self, number: int) -> int:
        """How large part `number` should be; grows, so that the numbers suffice for large blobs.

        On stores that take a whole request as one part, the most that they take (0: no bound).
        """
        if self.streams:
            return self.limits.max_size or 0
        if self.limits.uniform or self.limits.max_parts is None:
            return self._first_size
        doublings = min(_DOUBLINGS, (number - 1) * (_DOUBLINGS + 1) // self.limits.max_parts)
        return self._at_most(self._first_size << doublings)

    def is_part(self, size: int, number: int) -> bool:
        """Whether a leftover of `size` bytes becomes part `number`, though more may follow it."""
        if size < self.min_part:
            return False
        # Each part uses up a number; past the half, what can wait as a tail does.
        scarce = self.limits.max_parts is not None and number > self.limits.max_parts // 2
        return not scarce or size > self.whole_limit or size >= self.part_size(number)

    @property
    def _first_size(self) -> int:
        return self.settled_size or self._at_most(max(self.whole_limit, self.limits.min_size))

    def _at_most(self, size: int) -> int:
        return min(size, self.limits.max_size or size)
