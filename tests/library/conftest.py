"""Stores for the tests of the facade: in memory, and on a directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry_storage import Registry


@pytest.fixture(params=["memory", "filesystem"])
async def registry(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Registry]:
    settings = {"rootdirectory": str(tmp_path)} if request.param == "filesystem" else {}
    async with await Registry.open(request.param, settings) as opened:
        yield opened
