"""A file that is read again when it changes, and whose last good content stays in force.

An operator edits the list of users while the server runs; half an edit must not lock anybody out,
nor let anybody in.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from registry_storage.errors import ConfigurationInvalid

T = TypeVar("T")
Signature = tuple[int, int, int, int]

POLL_SECONDS = 1.0
_SETTLED_NS = 2_000_000_000
"""A file changed so lately may change again under the same time: file systems tick coarsely."""

log = logging.getLogger(__name__)


class FollowedFile(Generic[T]):
    """What `parse` makes of the text of `path`.  `parse` raises `ValueError`, in one line.

    Making one reads the file; raises `ConfigurationInvalid`, which begins with `setting`.
    """

    def __init__(self, setting: str, path: Path, parse: Callable[[str], T]) -> None:
        self._path = path
        self._parse = parse
        self._signature: Signature | None = None
        self._complaint = ""
        try:
            self._text = self._read()
            self.value = parse(self._text)
        except (OSError, ValueError) as error:
            raise ConfigurationInvalid(f"{setting}: {path}: {_told(error)}") from None

    def reload_if_changed(self) -> bool:
        """Look at the file; whether `value` is another now.  A broken file is logged and left."""
        try:
            if self._signature is not None and self._signature == _signature(os.stat(self._path)):
                return False
            text = self._read()
            if text == self._text:
                return False
            self._text = text
            self.value = self._parse(text)
        except (OSError, ValueError) as error:
            self._complain(error)
            return False
        log.info("%s was read again", self._path)
        self._complaint = ""
        return True

    def _complain(self, error: Exception) -> None:
        """Say what is wrong, once for each fault, not once for each look."""
        if (told := _told(error)) != self._complaint:
            log.error("%s: %s; what it said before stays in force", self._path, told)
        self._complaint = told

    def _read(self) -> str:
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read().decode("utf-8-sig")
        settled = time.time_ns() - status.st_mtime_ns > _SETTLED_NS
        self._signature = _signature(status) if settled else None
        return text


class Follower:
    """Looks at files every second while it runs, and tells when one of them says something else."""

    def __init__(self, look: Callable[[], bool], changed: Callable[[], None]) -> None:
        self._look = look
        self._changed = changed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="follow the files of access control")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.look_now()

    async def look_now(self) -> None:
        """Look at once; when this returns, what the files say is in force."""
        if await asyncio.to_thread(self._look):
            self._changed()

    async def close(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


def _signature(status: os.stat_result) -> Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _told(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
