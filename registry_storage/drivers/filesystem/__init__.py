"""The `filesystem` driver: blobs as files below one folder, durable when acknowledged.

layout    names of files and what they mean
durable   system calls: sync, link, never follow
failures  the operating system's errors as this project's
roots     what is wrong with a root, in words
segments  a part being written, a blob being read
store     every operation, blocking
driver    the same, asynchronous
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from registry_storage.drivers.api import Driver
from registry_storage.drivers.filesystem.driver import FilesystemDriver
from registry_storage.hookspecs import DriverConfig, DriverFactory, OpenDriver, hookimpl

__all__ = ["FilesystemConfig", "FilesystemDriver"]


def _as_text(value: object) -> object:
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(text, str) and "\0" in text:
        raise ValueError("no path has a NUL character")
    return text


class FilesystemConfig(DriverConfig):
    """Settings of the filesystem driver, named as in distribution."""

    rootdirectory: Annotated[str, Field(min_length=1), BeforeValidator(_as_text)]
    """The folder that holds everything; made where it is missing."""
    maxthreads: Annotated[int, Field(ge=25)] = 100
    """How many calls of the file system run at once; more wait.  A slow disk wants fewer."""


def make(config: FilesystemConfig, open_driver: OpenDriver) -> Driver:
    """The driver over `rootdirectory`."""
    return FilesystemDriver(Path(config.rootdirectory).absolute(), config.maxthreads)


@hookimpl
def registry_storage_drivers() -> list[DriverFactory]:
    """The driver."""
    example = {"rootdirectory": "images"}
    return [DriverFactory("filesystem", FilesystemConfig, make, example=example)]
