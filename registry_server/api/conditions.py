"""Conditional and negotiated requests (RFC 9110, sections 12, 13); the entity tag is the digest."""

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


def accepts(accept: str, media_type: str) -> bool:
    """Whether `Accept` has room for the type; weights do not matter, for there is no choice."""
    kind = media_type.partition("/")[0]
    wanted = {entry.partition(";")[0].strip() for entry in accept.split(",")}
    return not wanted.isdisjoint({media_type, f"{kind}/*", "*/*"})
