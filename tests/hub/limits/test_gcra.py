"""The algorithm, by what it promises of any sequence of requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from registry_server.limits.gcra import MAX_SECONDS, SECOND, Rate, give_back, take

rates = st.builds(Rate, st.integers(1, 10_000), st.floats(0.001, MAX_SECONDS, allow_nan=False))
pauses = st.lists(st.integers(0, 10 * SECOND), max_size=60)
times = st.integers(0, 2**62)


@given(rates, times, pauses)
def test_never_more_than_the_rate_in_any_span(rate: Rate, now: int, pauses: list[int]) -> None:
    taken: list[int] = []
    paid_until = 0
    for pause in pauses:
        now += pause
        paid_until, wait = take(rate, paid_until, now)
        if not wait:
            taken.append(now)
    for index, begin in enumerate(taken):
        for count, end in enumerate(taken[index:], 1):
            assert count <= rate.count + (end - begin) // rate.interval


@given(rates, times)
def test_the_whole_rate_may_be_taken_at_once_and_no_more(rate: Rate, now: int) -> None:
    paid_until = now
    for _ in range(min(rate.count, 100)):
        paid_until, wait = take(rate, paid_until, now)
        assert wait == 0
    if rate.count <= 100:
        paid_until, wait = take(rate, paid_until, now)
        assert 0 < wait <= rate.interval


@given(rates, times, pauses)
def test_who_waits_as_long_as_told_may_and_a_moment_sooner_may_not(
    rate: Rate, now: int, pauses: list[int]
) -> None:
    paid_until = 0
    for pause in pauses:
        now += pause
        paid_until, wait = take(rate, paid_until, now)
        if wait:
            assert take(rate, paid_until, now + wait - 1)[1] == 1
            now += wait
            paid_until, wait = take(rate, paid_until, now)
            assert wait == 0


@given(rates, times, times)
def test_whatever_is_remembered_nobody_waits_longer_than_for_one(
    rate: Rate, paid_until: int, now: int
) -> None:
    after, wait = take(rate, paid_until, now)
    assert 0 <= wait <= rate.interval
    assert now <= after <= now + rate.tolerance


@given(rates, times, st.integers(2 * 3600 * SECOND, 2**61))
def test_a_clock_that_is_set_back_locks_nobody_out(rate: Rate, now: int, step: int) -> None:
    paid_until, wait = take(rate, 0, now + step)
    for _ in range(min(rate.count, 50)):
        paid_until, wait = take(rate, paid_until, now)
        assert wait == 0


@given(rates, times, times)
def test_what_is_given_back_can_be_taken_again(rate: Rate, paid_until: int, now: int) -> None:
    after, wait = take(rate, paid_until, now)
    if not wait:
        returned = give_back(rate, after, now)
        assert take(rate, returned, now)[1] == 0
        assert returned >= now
