"""Blocking calls on threads: a cancelled caller waits, and nothing is left behind its back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from registry_storage.drivers._blocking import BlockingCalls, settled


@pytest_asyncio.fixture
async def calls() -> AsyncIterator[BlockingCalls]:
    calls = BlockingCalls("test", 2)
    yield calls
    await calls.close()


class Gate:
    """A blocking call that ends when it is let."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.ended = False

    def __call__(self) -> str:
        self.entered.set()
        assert self.open.wait(10)
        self.ended = True
        return "result"


async def cancel_within(gate: Gate, task: asyncio.Task[object], times: int = 1) -> None:
    """Cancel `task` while its call is on a thread, look that it waits, then let the call end."""
    await asyncio.to_thread(gate.entered.wait, 10)
    for _ in range(times):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.ended


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancelled_caller_waits_for_its_call(calls: BlockingCalls, times: int) -> None:
    gate = Gate()
    await cancel_within(gate, asyncio.create_task(calls.run(gate)), times)


async def test_a_result_that_nobody_gets_is_undone(calls: BlockingCalls) -> None:
    gate, undone = Gate(), list[str]()
    await cancel_within(gate, asyncio.create_task(calls.run_or_undo(undone.append, gate)))
    assert undone == ["result"]


async def test_a_result_that_is_had_is_not_undone(calls: BlockingCalls) -> None:
    undone: list[int] = []
    assert await calls.run_or_undo(undone.append, lambda: 1) == 1
    assert undone == []


async def test_an_error_is_raised_where_the_call_is_awaited(calls: BlockingCalls) -> None:
    with pytest.raises(ZeroDivisionError):
        await calls.run(lambda: 1 / 0)


async def test_settled_swallows_the_outcome(calls: BlockingCalls) -> None:
    running = calls.start(lambda: 1 / 0)
    await settled(running)
    assert isinstance(running.exception(), ZeroDivisionError)
    await settled(None)


async def test_at_most_so_many_calls_run_at_once(calls: BlockingCalls) -> None:
    gates = [Gate() for _ in range(3)]
    running = [calls.start(gate) for gate in gates]
    for gate in gates[:2]:
        await asyncio.to_thread(gate.entered.wait, 10)
    assert not gates[2].entered.is_set()
    for gate in gates:
        gate.open.set()
    assert await asyncio.gather(*running) == ["result"] * 3


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9])
async def test_iterate_gives_every_item_in_order(calls: BlockingCalls, count: int) -> None:
    assert [item async for item in calls.iterate(iter(range(count)), batch=4)] == list(range(count))
