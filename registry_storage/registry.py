"""The facade: a store of images, opened from a driver and a catalog.

    async with await Registry.open("filesystem", {"rootdirectory": "images"}) as registry:
        repository = registry.repository("team/app")
        manifest = await repository.manifest("latest")

`Registry` and `Repository` are all that the server, a script or a test needs; the services behind
them are private.  `registry_storage.sync` offers the same calls without `await`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from registry_storage.bytes_cache import BytesCache
from registry_storage.catalog import Catalog, repositories
from registry_storage.digest import Digest
from registry_storage.drivers.api import CatalogHome, Driver, LocalFiles, MiB, Redirects
from registry_storage.drivers.wrappers.read_only import ReadOnlyDriver
from registry_storage.drivers.wrappers.retry import RetryingDriver
from registry_storage.errors import ConfigurationInvalid, RegistryError
from registry_storage.maintenance.janitor import Janitor
from registry_storage.names import parse_repository_name
from registry_storage.ownership import Ownership
from registry_storage.plugins import open_driver
from registry_storage.policy import StorePolicy
from registry_storage.repository import Repository, Store
from registry_storage.uploads import Uploads
from registry_storage.values import Readiness

CACHE_CAPACITY: Final = 64 * MiB
"""Of manifests and small blobs that are served from memory, a process."""

CATALOG_FILE: Final = "catalog.sqlite"


class Registry:
    """A store, open: a driver and the catalog that belongs to it."""

    def __init__(self, store: Store, ownership: Ownership, resources: AsyncExitStack) -> None:
        self._store: Final = store
        self._ownership = ownership
        self._resources = resources
        self.driver: Final = store.driver
        self.policy: Final = store.policy

    @classmethod
    async def open(
        cls,
        driver: Driver | str,
        settings: Mapping[str, Any] | None = None,
        *,
        catalog_url: str | None = None,
        policy: StorePolicy | None = None,
    ) -> Registry:
        """Open a store.  `driver` is one that is made, or a name with its `settings`.

        `catalog_url` is an SQLAlchemy URL; None: `catalog.sqlite` in the driver's own directory.
        Raises `ConfigurationInvalid`, `StoreMismatch`, `DriverError`, `CatalogError`.
        """
        async with AsyncExitStack() as resources:
            registry = await cls._assemble(
                resources, driver, settings, catalog_url, policy or StorePolicy()
            )
            await registry._ownership.verify()
            registry._resources = resources.pop_all()
        return registry

    @classmethod
    async def adopt(
        cls,
        driver: Driver | str,
        settings: Mapping[str, Any] | None = None,
        *,
        catalog_url: str | None = None,
    ) -> None:
        """Claim the store for the catalog, whoever owned it before.

        Nothing that lies in the store now is ever swept.
        """
        async with AsyncExitStack() as resources:
            registry = await cls._assemble(resources, driver, settings, catalog_url, StorePolicy())
            await registry._ownership.adopt()

    @classmethod
    async def _assemble(
        cls,
        resources: AsyncExitStack,
        driver: Driver | str,
        settings: Mapping[str, Any] | None,
        catalog_url: str | None,
        policy: StorePolicy,
    ) -> Registry:
        made = open_driver(driver, settings or {}) if isinstance(driver, str) else driver
        await resources.enter_async_context(_started(made))
        catalog = await Catalog.open(_catalog_url(made, catalog_url, resources))
        resources.push_async_callback(catalog.close)
        retrying = RetryingDriver(made)
        wrapped = ReadOnlyDriver(retrying) if policy.read_only else retrying
        uploads = Uploads(wrapped, catalog, policy)
        resources.push_async_callback(uploads.close)
        store = Store(
            driver=wrapped,
            catalog=catalog,
            policy=policy,
            uploads=uploads,
            cache=BytesCache(CACHE_CAPACITY),
            files=wrapped.extension(LocalFiles),
            redirects=wrapped.extension(Redirects),
        )
        return cls(store, Ownership(wrapped, catalog), resources)

    async def close(self) -> None:
        """Finish what is under way and free everything."""
        await self._resources.aclose()

    async def __aenter__(self) -> Registry:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def repository(self, name: str) -> Repository:
        """Raises `NameInvalid`; touches nothing else."""
        return Repository(self._store, parse_repository_name(name))

    async def repositories(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """Names of repositories that hold a manifest, above `after`, in byte order."""
        return await self._store.catalog.read(repositories.names, after, limit)

    async def holders(self, digest: Digest, *, limit: int = 100) -> list[str]:
        """Names of repositories that hold the blob: where a mount may come from."""
        return await self._store.catalog.read(repositories.holders, digest, limit)

    def janitor(self) -> Janitor:
        """The housekeeper of this store; one in the cluster works at a time."""
        return Janitor(self.driver, self._store.catalog, self.policy, self._ownership)

    async def check(self) -> Readiness:
        """Ask catalog and driver whether they answer, and whose the store is."""
        try:
            owns = await self._ownership.owns()
        except RegistryError as error:
            return Readiness(problems=(str(error),))
        if owns:
            return Readiness()
        return Readiness(
            notices=("another catalog owns this store: serving goes on, nothing is deleted",)
        )


@asynccontextmanager
async def _started(driver: Driver) -> AsyncIterator[Driver]:
    try:
        await driver.start()
        yield driver
    finally:
        await driver.close()


def _catalog_url(driver: Driver, configured: str | None, resources: AsyncExitStack) -> str:
    home = driver.extension(CatalogHome)
    if home is None:
        if configured is None:
            raise ConfigurationInvalid(
                f"catalog.url: the {driver.name} driver has no place for the catalog; set this key"
            )
        return configured
    directory = home.catalog_directory()
    if directory is None and configured:
        raise ConfigurationInvalid(
            f"catalog.url: the {driver.name} driver brings a catalog of its own; remove the key"
        )
    return configured or _sqlite_url(directory or _temporary_directory(resources))


def _temporary_directory(resources: AsyncExitStack) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="registry-catalog-"))
    resources.callback(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _sqlite_url(directory: Path) -> str:
    return f"sqlite:///{directory.absolute() / CATALOG_FILE}"
