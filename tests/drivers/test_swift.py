"""The swift driver passes the suite on OpenStack Swift and on Ceph's gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from registry_storage.drivers.api import ForeignData, Redirects
from registry_storage.plugins import open_driver
from registry_storage.testing import DriverHarness, Failure
from registry_storage.testing.suite import *  # noqa: F403
from tests.drivers.swift_answers import answering, raising
from tests.services.containers import CONTAINERS, scratch_folder

SERVERS = [
    pytest.param("swift_server", marks=pytest.mark.xdist_group("swift"), id="swift"),
    pytest.param("rgw_swift", marks=pytest.mark.xdist_group("ceph"), id="rgw"),
]


@pytest.fixture(params=SERVERS)
def harness(request: pytest.FixtureRequest) -> Iterator[DriverHarness]:
    with scratch_folder(request.getfixturevalue(request.param)) as folder:
        settings = {
            **folder.settings,
            "segmentcontainer": CONTAINERS[1],
            "secretkey": "signs the URLs",
        }
        yield DriverHarness(
            open=lambda: open_driver("swift", settings),
            extensions=frozenset({Redirects, ForeignData}),
            residue=lambda: [name for name in folder.names() if "/docker/" not in name],
            plant_foreign_data=lambda: folder.put("files/docker/registry/v2/x", b"x"),
            failures={
                Failure.FORBIDDEN: answering(403, "Forbidden"),
                Failure.THROTTLED: answering(498, "Rate Limited"),
                Failure.BROKEN: answering(503, "Service Unavailable"),
                Failure.FULL: answering(507, "Insufficient Storage"),
                Failure.SILENT: raising(requests.ReadTimeout("60 s")),
            },
        )
