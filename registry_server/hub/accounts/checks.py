"""What tokens and robots are given: names for people, limits, and an end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from registry_server.hub.errors import Invalid
from registry_server.hub.roles import Limit, Role
from registry_server.settings.section import DAY

MAX_TITLE: Final = 100
MAX_DESCRIPTION: Final = 1000
MAX_LIMITS: Final = 50
MAX_GLOB: Final = 255
MAX_DAYS: Final = 3660

_GLOB: Final = re.compile(r"[a-z0-9._*-]+(?:/[a-z0-9._*-]+)*")


def check_title(text: str) -> None:
    """Raises `Invalid` where that does not name a thing on a line."""
    if not 1 <= len(text) <= MAX_TITLE or not text.isprintable() or text != text.strip():
        raise Invalid(f"a name has 1 to {MAX_TITLE} printable characters")


def check_line(what: str, text: str) -> None:
    """Raises `Invalid` where that is not a line of text; it may be empty."""
    if len(text) > MAX_DESCRIPTION or not text.isprintable():
        raise Invalid(f"{what} has at most {MAX_DESCRIPTION} printable characters")


def check_limits(limits: Iterable[Limit]) -> None:
    """Raises `Invalid` where those are too many, or cover nothing that there can be."""
    found = tuple(limits)
    if len(found) > MAX_LIMITS:
        raise Invalid(f"at most {MAX_LIMITS} limits; use globs for several repositories")
    for limit in found:
        glob = limit.repositories
        if len(glob) > MAX_GLOB or not _GLOB.fullmatch(glob):
            raise Invalid(f"{glob[:MAX_GLOB]!r} covers no repository: use names, * and **")


def check_limits_within(limits: Iterable[Limit], namespace: str) -> None:
    """… or lie elsewhere than in a namespace, or are those of a person."""
    found = tuple(limits)
    check_limits(found)
    if not found:
        raise Invalid("say what it may do, such as read on all repositories")
    for limit in found:
        if not limit.repositories.startswith(f"{namespace}/"):
            raise Invalid(f"{limit.repositories!r} is not in {namespace}: begin with {namespace}/")
        if limit.role is Role.ADMIN:
            raise Invalid("a robot may maintain at most: only people administer")


def check_lifetime(seconds: float | None) -> int | None:
    """Milliseconds.  Raises `Invalid` where that is over already, or further than anybody plans."""
    if seconds is None:
        return None
    if not 0 < seconds <= MAX_DAYS * DAY:
        raise Invalid(f"it ends after at most {MAX_DAYS} days, or never")
    return round(1000 * seconds)
