"""Lists that come in pages, read to their end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

PAGE: Final = 500
"""Items that are asked for at a time."""


async def read_all(
    page_behind: Callable[[str], Awaitable[Sequence[T]]], key: Callable[[T], str]
) -> list[T]:
    """Every item; `page_behind` is asked with the key of the last one, first with nothing."""
    found: list[T] = []
    while page := await page_behind(key(found[-1]) if found else ""):
        found += page
    return found
