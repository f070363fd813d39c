"""Functions stay short and files small enough to read in one sitting."""

from __future__ import annotations

from collections.abc import Sequence

from tests.architecture.source import modules

MEDIAN_LINES = 10
P90_LINES = 35
MOST_LINES = 60
MOST_LINES_OF_A_FILE = 500


def _function_lengths() -> list[tuple[int, str]]:
    return sorted(
        (function.end_lineno - function.lineno + 1, f"{module.name}.{function.name}")
        for module in modules()
        if not module.is_migration
        for function in module.functions()
        if function.end_lineno
    )


def _report(lengths: Sequence[tuple[int, str]]) -> str:
    return "\n".join(f"{lines:4} {name}" for lines, name in reversed(lengths))


def test_functions_are_short() -> None:
    lengths = _function_lengths()
    longest = _report(lengths[-20:])
    assert lengths[len(lengths) // 2][0] <= MEDIAN_LINES, longest
    assert lengths[len(lengths) * 9 // 10][0] <= P90_LINES, longest


def test_no_function_is_long() -> None:
    long = [entry for entry in _function_lengths() if entry[0] > MOST_LINES]
    assert not long, _report(long)


def test_no_file_is_long() -> None:
    long = sorted(
        (module.line_count, module.name)
        for module in modules()
        if module.line_count > MOST_LINES_OF_A_FILE and not module.is_migration
    )
    assert not long, _report(long)
