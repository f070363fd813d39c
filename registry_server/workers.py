"""Serving in several processes: gunicorn keeps them, each runs the same application.

Every worker has a listening socket of its own (`SO_REUSEPORT`), so that the kernel shares
connections out evenly; with one socket for all, one worker may get them all.  The master restarts a
worker that dies, and asks all of them to drain when it is told to end.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import time
from collections.abc import Awaitable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from multiprocessing import get_context
from types import FrameType
from typing import Any, TypeVar

from aiohttp.worker import GunicornUVLoopWebWorker
from gunicorn import glogging  # type: ignore[import-untyped]
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]

from registry_server.listening import close_all, ensure_free, listen
from registry_server.serving import Service, banner, end_at_once
from registry_server.settings import Settings
from registry_storage.drivers.api import CatalogHome
from registry_storage.errors import ConfigurationInvalid, RegistryError
from registry_storage.plugins import open_driver

T = TypeVar("T")

HEARTBEAT_SECONDS = 1.0
SILENCE_SECONDS = 60
"""A worker whose event loop stands still for so long is killed and replaced."""
RESTART_SECONDS = 2.0
"""How long a replacement that cannot start waits before it gives way to the next."""
_SPARE_SECONDS = 5

log = logging.getLogger(__name__)


def serve_with_workers(settings: Settings, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, and drain then; a second signal ends everything at once.

    Raises `ConfigurationInvalid`, `StoreMismatch`, `DriverError`, `CatalogError` before any worker
    starts, and `SystemExit` at the end.
    """
    _check_shareable(settings)
    ensure_free(settings.http.addr)
    _prepare_store(settings)
    log.info("%s; %d workers", banner(settings, settings.http.addr), workers)
    _Master(_Application(settings, workers)).run()


def _check_shareable(settings: Settings) -> None:
    storage = settings.storage
    home = open_driver(storage.driver, storage.parameters).extension(CatalogHome)
    if home is not None and home.catalog_directory() is None:
        raise ConfigurationInvalid(
            f"storage.{storage.driver}: each worker would have a store of its own; use --workers 1"
        )
    if settings.http.addr.port == 0:
        raise ConfigurationInvalid("http.addr: workers cannot share port 0; choose a port")


def _prepare_store(settings: Settings) -> None:
    """Open store and hub once, so that tables are made and doubts are told before workers start.

    In a process of its own: what a database driver starts must not be carried over a fork.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        pool.submit(_open_and_close, settings).result()


def _open_and_close(settings: Settings) -> None:
    from registry_server.app import open_halves

    async def once() -> None:
        async with AsyncExitStack() as resources:
            _, hub = await open_halves(settings, resources)
        if hub is not None:
            from registry_server.hub.first_admin import announce_first_admin

            await announce_first_admin(settings, settings.http.addr)

    asyncio.run(once())


class _Log(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's messages go where all others go; below warnings they tell nothing of use."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)


class _Application(BaseApplication):  # type: ignore[misc]
    """What gunicorn is to run, and how; nothing of it comes from its own files or variables."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self.settings = settings
        self._workers = workers
        super().__init__()

    def load_config(self) -> None:
        drain = math.ceil(self.settings.http.draintimeout)
        choices = {
            "workers": self._workers,
            "worker_class": Worker,
            "logger_class": _Log,
            "bind": [],  # each worker makes its own
            "reuse_port": True,
            "timeout": SILENCE_SECONDS,
            "graceful_timeout": drain + _SPARE_SECONDS,
            "control_socket_disable": True,
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
        }
        for name, value in choices.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The worker has all it needs in `settings`."""
        return None


class _Master(Arbiter):  # type: ignore[misc]
    """Drains on SIGTERM and SIGINT alike; a second of either ends the workers at once."""

    _is_ending = False
    _tell_again_at = 0.0

    def handle_int(self) -> None:
        self.handle_term()

    def stop(self, graceful: bool = True) -> None:
        self._is_ending = True
        self._tell_again_at = time.monotonic() + HEARTBEAT_SECONDS
        super().stop(graceful)

    def reap_workers(self) -> None:
        super().reap_workers()
        if self._is_ending and time.monotonic() > self._tell_again_at:
            # A worker that was just forked still had our handlers, and did not hear the first time.
            self._tell_again_at = time.monotonic() + HEARTBEAT_SECONDS
            self.kill_workers(signal.SIGTERM)

    def signal(self, sig: int, frame: FrameType | None) -> None:
        super().signal(signal.SIGQUIT if self._is_ending and sig == signal.SIGTERM else sig, frame)


class Worker(GunicornUVLoopWebWorker):
    """One process that serves; the application's own arguments, not gunicorn's, are in force."""

    def init_signals(self) -> None:
        super().init_signals()
        self.loop.add_signal_handler(signal.SIGTERM, self._end)
        # A terminal sends SIGINT to every process; the master decides what it means.
        self.loop.add_signal_handler(signal.SIGINT, lambda: None)
        self.loop.add_signal_handler(signal.SIGQUIT, end_at_once, 0)

    def _end(self) -> None:
        self.alive = False
        self._notify_waiter_done()

    async def _run(self) -> None:
        try:
            service = await self._beating(self._start())
        except RegistryError as error:
            log.error("a worker cannot start: %s", error)
            await self._give_up()
            return
        self.booted = True
        while self.alive and self.ppid == os.getppid():
            self.notify()
            await self._wait_next_notify()
        await self._beating(service.drain())

    async def _start(self) -> Service:
        from registry_server.app import start

        settings = self.app.settings
        sockets = listen(settings.http.addr, shared=True)
        try:
            return await start(settings, sockets)
        except BaseException:
            close_all(sockets)
            raise

    async def _beating(self, work: Awaitable[T]) -> T:
        """Do the work, and show the master meanwhile that this process is alive."""
        task = asyncio.ensure_future(work)
        while not task.done():
            self.notify()
            await asyncio.wait({task}, timeout=HEARTBEAT_SECONDS)
        return task.result()

    async def _give_up(self) -> None:
        """Of the first workers: end the server.  Of a replacement: make way for the next, later."""
        if self.age <= self.cfg.workers:
            self.exit_code = Arbiter.WORKER_BOOT_ERROR
            return
        self.booted = True
        self.exit_code = 1
        await self._beating(asyncio.sleep(RESTART_SECONDS))
