import pytest

from registry_storage.plugins import open_driver
from registry_storage.testing import DriverHarness
from registry_storage.testing.suite import *  # noqa: F403


@pytest.fixture
def harness(tmp_path):
    settings = {"path": tmp_path / "store.sqlite"}
    return DriverHarness(open=lambda: open_driver("sqlite", settings))
