"""One bounded budget for all the bytes that uploads hold in memory.

Who wants to gather a part reserves its size first, and waits where the budget is used up; nothing
is read from its client meanwhile.  So a process's memory depends neither on how large blobs are nor
on how many clients push.  Reservations are granted in the order in which they were asked for.
"""

from __future__ import annotations

import asyncio
from collections import deque


class BufferBudget:
    """`total` bytes, for one event loop."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def reserve(self, size: int) -> Reservation:
        """Wait for `size` bytes; more than the whole budget counts as all of it.

        Who holds a reservation must not wait for a second one unless the first is released whatever
        happens to the second.
        """
        reserved = self.reserve_now(size)
        if reserved is None:
            size = min(size, self._total)
            await self._wait(size)
            reserved = Reservation(self, size)
        return reserved

    def reserve_now(self, size: int) -> Reservation | None:
        """`size` bytes, if nobody has to wait for them."""
        size = min(size, self._total)
        if self._waiting or size > self._free:
            return None
        self._free -= size
        return Reservation(self, size)

    async def _wait(self, size: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            # Granted and cancelled in the same step of the loop: nobody else will give it back.
            self._give_back(0 if turn.cancelled() else size)
            raise

    def _give_back(self, size: int) -> None:
        self._free += size
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.cancelled():
                if wanted > self._free:
                    return
                self._free -= wanted
                turn.set_result(None)
            self._waiting.popleft()


class Reservation:
    """Part of the budget.  A context, which releases it on leaving."""

    def __init__(self, budget: BufferBudget, size: int) -> None:
        self._budget = budget
        self._size = size

    @property
    def size(self) -> int:
        """In bytes; 0 once it is released or moved."""
        return self._size

    def release(self) -> None:
        """Give the bytes back; the second time nothing happens."""
        size, self._size = self._size, 0
        self._budget._give_back(size)

    def detach(self) -> Reservation:
        """Move the bytes to a reservation of their own, which outlives this one."""
        size, self._size = self._size, 0
        return Reservation(self._budget, size)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()
