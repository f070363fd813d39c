"""The kodo driver passes the suite, over a local server that speaks Kodo's protocol."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from registry_storage.drivers._object_layout import FOREIGN_TREE
from registry_storage.drivers.api import ForeignData, Redirects
from registry_storage.drivers.kodo import KodoConfig
from registry_storage.drivers.kodo.driver import KodoDriver
from registry_storage.testing import Capability, DriverHarness, Failure
from registry_storage.testing.suite import *  # noqa: F403
from tests.services.kodo import KodoServer

pytestmark = pytest.mark.xdist_group("kodo")

IMPATIENT = (2.0, 0.5)
"""Time-outs for tests, in seconds: to connect, and between two bytes."""


def driver(kodo: KodoServer, bucket: str, **settings: Any) -> KodoDriver:
    """A driver over the bucket, not started."""
    config = KodoConfig.model_validate({**kodo.settings(bucket), **settings})
    return KodoDriver(config, timeout=IMPATIENT)


def failing(kodo: KodoServer, **fault: Any) -> Callable[[], AbstractContextManager[None]]:
    """Lets every request fail so."""
    return lambda: kodo.failing(fault)


# Servers are tried at the top of a bucket, in `tests/drivers_served`.
ROOTS = [
    pytest.param("a root/of äll", id="below"),
    pytest.param("", id="top", marks=pytest.mark.long),
]


@pytest.fixture(params=ROOTS)
def harness(request: pytest.FixtureRequest, kodo: KodoServer, kodo_bucket: str) -> DriverHarness:
    root = request.param

    def residue() -> object:
        """Objects of ours, and uploads with parts; one without was begun by a call that crashed."""
        uploads = [upload for upload in kodo.uploads(kodo_bucket).values() if upload["parts"]]
        return [key for key in kodo.objects(kodo_bucket) if FOREIGN_TREE not in key], uploads

    return DriverHarness(
        open=lambda: driver(kodo, kodo_bucket, rootdirectory=root),
        lacks={
            Capability.LISTS_UPLOADS: "Kodo lists no uploads; it drops unfinished ones by itself"
        },
        extensions=frozenset({ForeignData, Redirects}),
        residue=residue,
        plant_foreign_data=lambda: kodo.put(
            kodo_bucket, f"{root}/{FOREIGN_TREE}blobs/x".lstrip("/"), b"x"
        ),
        failures={
            Failure.FORBIDDEN: failing(kodo, kind="status", status=403, error="not allowed"),
            Failure.THROTTLED: failing(kodo, kind="status", status=573, error="too frequent"),
            Failure.BROKEN: failing(kodo, kind="status", status=599, error="server failure"),
            Failure.SILENT: failing(kodo, kind="stall"),
            Failure.FULL: failing(kodo, kind="status", status=507, error="no space"),
        },
        largest=24 * 1024 * 1024,
    )
