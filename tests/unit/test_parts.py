"""How parts are cut, for every kind of limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from registry_storage.drivers.api import KiB, MiB, PartLimits
from registry_storage.parts import ROW_TAIL, PartPlan

GiB = 1024 * MiB

S3 = PartLimits(min_size=5 * MiB, max_size=5 * GiB, max_parts=10_000, needs_size=True)
EQUAL = PartLimits(
    min_size=5 * MiB, max_size=5 * GiB, max_parts=10_000, needs_size=True, uniform=True
)
FILES = PartLimits(preferred_size=None)


@st.composite
def limits(draw: st.DrawFn) -> PartLimits:
    """Limits that a backend could have: what it prefers lies within what it accepts."""
    min_size = draw(st.integers(1, 1000))
    preferred = draw(st.none() | st.integers(min_size, 10_000))
    return PartLimits(
        min_size=min_size,
        max_size=draw(st.none() | st.integers(preferred or min_size, 100_000)),
        max_parts=draw(st.none() | st.integers(1, 100)),
        preferred_size=preferred,
        needs_size=preferred is not None,
        uniform=preferred is not None and draw(st.booleans()),
    )


@given(limits(), st.integers(1, 100))
def test_full_parts_are_within_the_limits(limits: PartLimits, number: int) -> None:
    plan = PartPlan(limits)
    size = plan.part_size(number)
    assert limits.max_size is None or size <= limits.max_size
    assert size >= limits.min_size or (plan.streams and size == (limits.max_size or 0))
    assert not limits.uniform or size == plan.fixed_size


@given(limits(), st.integers(1, 100), st.integers(0, 100_000))
def test_a_leftover_that_is_a_part_is_within_the_limits(
    limits: PartLimits, number: int, size: int
) -> None:
    plan = PartPlan(limits)
    full = plan.part_size(number) or size + 1
    if size < full and plan.is_part(size, number):
        assert size >= limits.min_size
        assert not limits.uniform


@given(limits(), st.integers(1, 100))
def test_what_is_no_part_fits_a_tail(limits: PartLimits, number: int) -> None:
    plan = PartPlan(limits)
    most = plan.part_size(number) or plan.whole_limit
    for size in {1, limits.min_size - 1, plan.min_part - 1, most - 1, most // 2} - {0}:
        if 0 < size < most and not plan.is_part(size, number):
            assert size <= plan.whole_limit


@given(limits())
def test_parts_never_shrink(limits: PartLimits) -> None:
    plan = PartPlan(limits)
    sizes = [plan.part_size(number) for number in range(1, 101)]
    assert sizes == sorted(sizes)


def test_parts_grow_so_that_ten_thousand_hold_two_tebibytes() -> None:
    plan = PartPlan(S3)
    assert plan.part_size(1) == 8 * MiB
    assert plan.part_size(10_000) == 1 * GiB
    assert plan.max_blob is not None
    assert plan.max_blob > 2 * 1024 * GiB
    # Memory: up to 70 GiB no part is above 32 MiB.
    assert plan.part_size(3 * 1250) == 32 * MiB


def test_equal_parts_bound_the_blob() -> None:
    plan = PartPlan(EQUAL)
    assert plan.fixed_size == 8 * MiB
    assert plan.part_size(10_000) == 8 * MiB
    assert plan.max_blob == 10_000 * 8 * MiB
    assert not plan.is_part(8 * MiB - 1, 1)
    assert plan.is_part(8 * MiB, 1)


def test_an_upload_keeps_the_size_that_it_began_with() -> None:
    assert PartPlan(EQUAL, settled_size=6 * MiB).part_size(2) == 6 * MiB


def test_a_store_that_takes_whole_requests_gets_parts_from_64_kib_on() -> None:
    plan = PartPlan(FILES)
    assert plan.streams
    assert plan.part_size(1) == 0
    assert not plan.is_part(ROW_TAIL - 1, 1)
    assert plan.is_part(ROW_TAIL, 1)
    assert plan.min_chunk is None


def test_only_stores_with_large_parts_announce_a_smallest_chunk() -> None:
    assert PartPlan(S3).min_chunk == 5 * MiB
    assert PartPlan(PartLimits(min_size=1 * KiB)).min_chunk is None


def test_scarce_numbers_are_not_spent_on_small_parts() -> None:
    plan = PartPlan(S3)
    assert plan.is_part(5 * MiB, 5_000)
    assert not plan.is_part(5 * MiB, 5_001)
    assert plan.is_part(9 * MiB, 5_001), "too large for a tail"
