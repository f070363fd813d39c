"""What every test may ask for: the real servers of `tests/services`, and images for clients."""

from __future__ import annotations

pytest_plugins = [
    "tests.clients.fixtures",
    "tests.services.ceph",
    "tests.services.fake_gcs",
    "tests.services.kodo",
    "tests.services.moto",
    "tests.services.postgres",
    "tests.services.seaweedfs",
    "tests.services.swift",
]
