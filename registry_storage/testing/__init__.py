"""The compliance suite for storage drivers, and what it is described by.

A driver's whole test file is one import and one fixture:

    import pytest
    from registry_storage.testing import DriverHarness
    from registry_storage.testing.suite import *

    @pytest.fixture
    def harness(tmp_path):
        return DriverHarness(open=lambda: MyDriver(tmp_path))

The suite grows with the library: a new release brings new tests to every driver.
Needs the extra `testing` (pytest and pytest-asyncio).
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("registry_storage.testing.suite", "registry_storage.testing.bench")

from registry_storage.testing.harness import Capability, DriverHarness, Failure  # noqa: E402

__all__ = ["Capability", "DriverHarness", "Failure"]
