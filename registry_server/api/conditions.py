"""Conditional requests (RFC 9110, section 13) about content whose entity tag is its digest."""

from __future__ import annotations


def is_known(digest: str, if_none_match: str) -> bool:
    """Whether `If-None-Match` names the digest: quoted, weak, plain, in a list, or by `*`."""
    if if_none_match.strip() == "*":
        return True
    return any(
        entry.strip().removeprefix("W/").strip('"') == digest for entry in if_none_match.split(",")
    )


def range_applies(digest: str, if_range: str | None) -> bool:
    """Whether `If-Range` lets `Range` count: it is absent, or names the digest as a strong tag."""
    return if_range is None or if_range.strip() == f'"{digest}"'
