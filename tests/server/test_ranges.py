"""Byte ranges against a model that looks at each byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_server.api.ranges import (
    MAX_RANGES,
    ByteRange,
    Unsatisfiable,
    multipart,
    parse_range,
)

NUMBERS = st.integers(min_value=0, max_value=40)
SPECS = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map(lambda ends: f"{min(ends)}-{max(ends)}"),
    NUMBERS.map(lambda start: f"{start}-"),
    NUMBERS.map(lambda length: f"-{length}"),
)


def model(spec: str, size: int) -> list[int]:
    """The positions that a range spec selects, byte by byte (RFC 9110, 14.1.2)."""
    first, _, last = spec.partition("-")
    if not first:
        return [at for at in range(size) if at >= size - int(last)]
    return [at for at in range(size) if int(first) <= at <= (int(last) if last else size)]


@given(st.lists(SPECS, min_size=1, max_size=5), st.integers(min_value=0, max_value=30))
def test_ranges_select_what_the_rfc_says(specs: list[str], size: int) -> None:
    expected = [positions for spec in specs if (positions := model(spec, size))]
    header = f"bytes={', '.join(specs)}"
    if not expected:
        with pytest.raises(Unsatisfiable):
            parse_range(header, size)
        return
    found = [list(range(part.start, part.stop)) for part in parse_range(header, size)]
    too_much = sum(map(len, expected)) > size
    assert found == ([] if too_much else expected)


@pytest.mark.parametrize(
    "header", [None, "", "bytes", "bytes=", "bytes=x", "lines=0-1", "bytes=٣-"]
)
def test_what_is_no_range_selects_the_whole(header: str | None) -> None:
    assert parse_range(header, 10) == ()


def test_as_many_ranges_as_promised_are_served_and_no_more() -> None:
    specs = [f"{2 * n}-{2 * n}" for n in range(MAX_RANGES + 1)]
    assert len(parse_range(f"bytes={','.join(specs[:-1])}", 10_000)) == MAX_RANGES
    assert parse_range(f"bytes={','.join(specs)}", 10_000) == ()


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=9))
def test_the_length_of_a_multipart_body_is_known_beforehand(ends: list[tuple[int, int]]) -> None:
    data = bytes(range(100))
    ranges = [ByteRange(start, start + size + 1) for start, size in ends]
    layout = multipart(ranges, len(data), "application/octet-stream", "boundary")
    body = b"".join(head + data[part.start : part.stop] for head, part in layout.parts)
    assert len(body + layout.end) == layout.size
    assert (body + layout.end).startswith(b"--boundary\r\n")
