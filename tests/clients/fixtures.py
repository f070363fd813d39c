"""The images as a fixture, for every folder of tests that wants them."""

from __future__ import annotations

import fcntl
import os

import pytest

from tests.clients.images import Images, build
from tests.services.clients import debian_packages, require


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """The images, built once for all pytest processes of a run."""
    require("buildah", "skopeo")
    packages = debian_packages()
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, done = shared / "images", shared / "images-are-built"
    with (shared / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            build(folder, packages)
            done.touch()
    return Images(folder)
