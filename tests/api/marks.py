"""Marks of this suite."""

from __future__ import annotations

import pytest

ours = pytest.mark.ours
"""Asks for more than the spec makes every registry do, so it is left out for others."""

both_hashings = pytest.mark.parametrize(
    "which", ["server", "server_that_rereads"], indirect=True, scope="session"
)
"""Run against a server that carries hashes from request to request, and one that cannot."""
