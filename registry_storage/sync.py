"""The facade for programs without an event loop: what a script needs of it, without `await`.

    from registry_storage import sync

    with sync.open_registry("filesystem", {"rootdirectory": "images"}) as registry:
        repository = registry.repository("team/app")
        layer = repository.put_blob(b"...")

One background thread runs the event loop of a registry; calls may come from any thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from registry_storage.digest import Digest
from registry_storage.drivers.api import Driver
from registry_storage.policy import StorePolicy
from registry_storage.registry import Registry
from registry_storage.repository import Repository
from registry_storage.values import BlobInfo

P = ParamSpec("P")
T = TypeVar("T")


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="registry", daemon=True)
        self._thread.start()

    def run(self, awaitable: Awaitable[T]) -> T:
        async def call() -> T:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class BlockingRepository:
    """A `Repository` whose calls block."""

    def __init__(self, loop: _Loop, repository: Repository) -> None:
        self._loop = loop
        self._repository = repository
        self.name: Final = repository.name

    @staticmethod
    def _blocking(
        method: Callable[Concatenate[Repository, P], Awaitable[T]],
    ) -> Callable[Concatenate[BlockingRepository, P], T]:
        def call(self: BlockingRepository, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return self._loop.run(method(self._repository, *args, **kwargs))

        call.__name__, call.__doc__ = method.__name__, method.__doc__
        return call

    blob = _blocking(Repository.blob)
    mount_blob = _blocking(Repository.mount_blob)
    delete_blob = _blocking(Repository.delete_blob)
    begin_upload = _blocking(Repository.begin_upload)
    upload = _blocking(Repository.upload)
    append_upload = _blocking(Repository.append_upload)
    finish_upload = _blocking(Repository.finish_upload)
    cancel_upload = _blocking(Repository.cancel_upload)
    manifest = _blocking(Repository.manifest)
    put_manifest = _blocking(Repository.put_manifest)
    delete_manifest = _blocking(Repository.delete_manifest)
    delete_tag = _blocking(Repository.delete_tag)
    tags = _blocking(Repository.tags)
    tag_facts = _blocking(Repository.tag_facts)
    tag = _blocking(Repository.tag)
    referrers = _blocking(Repository.referrers)

    def put_blob(
        self, data: bytes | Iterable[bytes], digest: Digest | None = None, *, actor: str = ""
    ) -> BlobInfo:
        """Store a blob whole.  Raises `DigestInvalid` if the bytes have another digest."""
        stream = data if isinstance(data, bytes) else _fetched(iter(data))
        return self._loop.run(self._repository.put_blob(stream, digest, actor=actor))

    def read_blob(self, blob: BlobInfo, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes [start, stop) in pieces.  Raises `BlobUnknown`, `RangeNotSatisfiable`."""
        reader = self._repository.read_blob(blob, start, stop)
        pieces = self._loop.run(reader.__aenter__())
        try:
            while (piece := self._loop.run(anext(pieces, None))) is not None:
                yield piece
        finally:
            self._loop.run(reader.__aexit__(None, None, None))


async def _fetched(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Fetched on a thread, for they may come from a disk or another host."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


class BlockingRegistry:
    """A `Registry` whose calls block.  Made by `open_registry`."""

    def __init__(self, loop: _Loop, registry: Registry) -> None:
        self._loop = loop
        self._registry = registry

    def repository(self, name: str) -> BlockingRepository:
        """Raises `NameInvalid`; touches nothing else."""
        return BlockingRepository(self._loop, self._registry.repository(name))

    @staticmethod
    def _blocking(
        method: Callable[Concatenate[Registry, P], Awaitable[T]],
    ) -> Callable[Concatenate[BlockingRegistry, P], T]:
        def call(self: BlockingRegistry, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return self._loop.run(method(self._registry, *args, **kwargs))

        call.__name__, call.__doc__ = method.__name__, method.__doc__
        return call

    repositories = _blocking(Registry.repositories)
    visible = _blocking(Registry.visible)
    browse = _blocking(Registry.browse)
    facts = _blocking(Registry.facts)
    visibility = _blocking(Registry.visibility)
    resolve = _blocking(Registry.resolve)
    number = _blocking(Registry.number)
    name = _blocking(Registry.name)
    create_repository = _blocking(Registry.create_repository)
    set_visibility = _blocking(Registry.set_visibility)
    rename = _blocking(Registry.rename)
    delete_repository = _blocking(Registry.delete_repository)
    namespace = _blocking(Registry.namespace)
    set_default_visibility = _blocking(Registry.set_default_visibility)
    set_quota = _blocking(Registry.set_quota)
    reset_namespace = _blocking(Registry.reset_namespace)
    usage = _blocking(Registry.usage)
    events = _blocking(Registry.events)
    last_event = _blocking(Registry.last_event)
    record = _blocking(Registry.record)

    def close(self) -> None:
        """Finish what is under way and free everything."""
        try:
            self._loop.run(self._registry.close())
        finally:
            self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_registry(
    driver: Driver | str,
    settings: Mapping[str, Any] | None = None,
    *,
    catalog_url: str | None = None,
    policy: StorePolicy | None = None,
) -> BlockingRegistry:
    """Open a store, as `Registry.open` does, and raise what that raises."""
    loop = _Loop()
    try:
        opened = Registry.open(driver, settings, catalog_url=catalog_url, policy=policy)
        return BlockingRegistry(loop, loop.run(opened))
    except BaseException:
        loop.stop()
        raise
