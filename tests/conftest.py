"""What every test may ask for: the real servers of `tests/services`, and images for clients."""

from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.clients.fixtures",
    "tests.services.ceph",
    "tests.services.fake_gcs",
    "tests.services.kodo",
    "tests.services.moto",
    "tests.services.openid",
    "tests.services.postgres",
    "tests.services.seaweedfs",
    "tests.services.slapd",
    "tests.services.swift",
]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put each `xdist_group` where xdist's scheduler looks for it: at the end of the test's id.

    pytest-xdist 3.8 means to do so itself, but pytest 9.2 keeps ids elsewhere, so that every worker
    would start every service (https://github.com/pytest-dev/pytest-xdist/issues/1386).
    """
    if not config.getoption("loadgroup", False):
        return
    for item in items:
        groups = sorted({mark.args[0] for mark in item.iter_markers("xdist_group")})
        suffix = f"@{'_'.join(groups)}"
        if groups and not item.nodeid.endswith(suffix):
            item._id = type(item.id).parse(item.nodeid + suffix)
            assert item.nodeid.endswith(suffix)
