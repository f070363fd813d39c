"""What every test may ask for: the fixtures of the real servers in `tests/services`."""

from __future__ import annotations

pytest_plugins = [
    "tests.services.ceph",
    "tests.services.fake_gcs",
    "tests.services.kodo",
    "tests.services.moto",
    "tests.services.postgres",
    "tests.services.seaweedfs",
    "tests.services.swift",
]
