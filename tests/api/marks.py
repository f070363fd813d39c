"""Marks of this suite."""

from __future__ import annotations

import pytest

ours = pytest.mark.ours
"""Asks for more than the spec makes every registry do, so it is left out for others."""

_OTHERS = [
    pytest.param("server_of_workers", marks=pytest.mark.slow),
    pytest.param(
        "server_on_postgresql", marks=[pytest.mark.slow, pytest.mark.xdist_group("postgres")]
    ),
]

every_catalog = pytest.mark.parametrize(
    "which", ["server", *_OTHERS], indirect=True, scope="session"
)
"""Run against one process, against two, and with the catalog in PostgreSQL."""

every_hashing = pytest.mark.parametrize(
    "which", ["server", "server_that_rereads", *_OTHERS], indirect=True, scope="session"
)
"""So too, and against a server that cannot carry a hash from one request to the next."""
