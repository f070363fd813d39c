"""Every kind of store in turn, for the modules that ask for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers_served.backends import ALL
from tests.drivers_served.common import Backend


@pytest.fixture(params=ALL)
def any_backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """An empty store of each kind."""
    service = request.getfixturevalue(request.param.service)
    with request.param.open(service, tmp_path) as backend:
        yield backend
