"""The budget of buffers: bounded, fair, and whole again after a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from registry_storage.buffers import BufferBudget, Reservation


async def waiting(budget: BufferBudget, size: int) -> asyncio.Task[Reservation]:
    """A reservation that has begun to wait."""
    task = asyncio.create_task(budget.reserve(size))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_who_asks_for_more_than_is_free_waits() -> None:
    budget = BufferBudget(10)
    first = await budget.reserve(6)
    second = await waiting(budget, 5)
    first.release()
    (await second).release()


async def test_nobody_is_overtaken() -> None:
    budget = BufferBudget(10)
    first = await budget.reserve(6)
    large = await waiting(budget, 8)
    small = await waiting(budget, 1)
    first.release()
    assert await large
    assert await small


async def test_who_cannot_wait_gets_what_is_free_or_nothing() -> None:
    budget = BufferBudget(10)
    first = budget.reserve_now(6)
    assert first is not None
    assert budget.reserve_now(5) is None
    second = await waiting(budget, 5)
    assert budget.reserve_now(1) is None, "nobody is overtaken"
    first.release()
    await second


async def test_more_than_all_is_all() -> None:
    budget = BufferBudget(10)
    with await budget.reserve(1000):
        task = await waiting(budget, 1)
    await task


async def test_releasing_twice_counts_once() -> None:
    budget = BufferBudget(10)
    first = await budget.reserve(10)
    first.release()
    first.release()
    await budget.reserve(10)
    await waiting(budget, 1)


async def test_a_detached_reservation_outlives_its_context() -> None:
    budget = BufferBudget(10)
    with await budget.reserve(10) as first:
        detached = first.detach()
    task = await waiting(budget, 1)
    detached.release()
    await task


async def test_who_is_cancelled_while_waiting_lets_others_pass() -> None:
    budget = BufferBudget(10)
    first = await budget.reserve(6)
    large = await waiting(budget, 8)
    small = await waiting(budget, 4)
    large.cancel()
    with pytest.raises(asyncio.CancelledError):
        await large
    await small
    first.release()


async def test_who_is_cancelled_when_granted_gives_it_back() -> None:
    budget = BufferBudget(10)
    first = await budget.reserve(10)
    second = await waiting(budget, 10)
    first.release()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await budget.reserve(10)
