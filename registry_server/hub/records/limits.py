"""What narrows credentials, as columns have it: a list of `{"repositories": …, "role": …}`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from registry_server.hub.roles import Limit, Role


def written(limits: Iterable[Limit]) -> list[dict[str, str]]:
    """As the column has it."""
    return [{"repositories": limit.repositories, "role": limit.role.value} for limit in limits]


def read(column: Sequence[Mapping[str, str]]) -> tuple[Limit, ...]:
    """As the code has it."""
    return tuple(Limit(entry["repositories"], Role(entry["role"])) for entry in column)
