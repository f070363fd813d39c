"""The filesystem driver passes the suite."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from registry_storage.drivers.api import ForeignData, LocalFiles
from registry_storage.drivers.filesystem import FilesystemDriver
from registry_storage.testing import DriverHarness, Failure
from registry_storage.testing.suite import *  # noqa: F403


def files_below(root: Path) -> Callable[[], list[str]]:
    """What lies in the store, its folders aside, which stay."""
    return lambda: sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() or path.parent.name == "uploads"
    )


def failing_with(number: int) -> Callable[[], AbstractContextManager[None]]:
    """Makes every write fail with this error of the operating system."""

    @contextmanager
    def failing() -> Iterator[None]:
        def refuse(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "writev", refuse)
            yield

    return failing


@pytest.fixture
def harness(tmp_path: Path) -> DriverHarness:
    return DriverHarness(
        open=lambda: FilesystemDriver(tmp_path),
        extensions=frozenset({LocalFiles, ForeignData}),
        residue=files_below(tmp_path),
        plant_foreign_data=lambda: (tmp_path / "docker/registry/v2").mkdir(parents=True),
        failures={
            Failure.FULL: failing_with(errno.ENOSPC),
            Failure.FORBIDDEN: failing_with(errno.EROFS),
            Failure.SILENT: failing_with(errno.ETIMEDOUT),
            Failure.BROKEN: failing_with(errno.ESTALE),
        },
    )
