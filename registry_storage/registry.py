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
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from registry_storage.bytes_cache import BytesCache
from registry_storage.catalog import (
    Catalog,
    events,
    listings,
    namespaces,
    removal,
    repositories,
)
from registry_storage.catalog.listings import Scope
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
from registry_storage.pull_counter import PullCounter
from registry_storage.repository import Repository, Store
from registry_storage.uploads import Uploads
from registry_storage.uploads.context import terms_of
from registry_storage.values import (
    Change,
    Namespace,
    Readiness,
    RepositoryFacts,
    Usage,
    Visibility,
)

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
        pulls = PullCounter(catalog)
        if not policy.read_only:
            pulls.start()
            resources.push_async_callback(pulls.close)
        store = Store(
            driver=wrapped,
            catalog=catalog,
            policy=policy,
            uploads=uploads,
            pulls=pulls,
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
        return await self._store.catalog.read(listings.names, after, limit)

    async def visible(
        self,
        *,
        public: bool = False,
        namespaces: Collection[str] = (),
        names: Collection[str] = (),
        after: str = "",
        limit: int = 1000,
    ) -> list[str]:
        """As `repositories`, of those that are public (if `public`), lie in `namespaces` or are
        among `names`; those for which none of it speaks cost nothing."""
        scope = Scope(public, tuple(namespaces), tuple(names))
        return await self._store.catalog.read(listings.visible, scope, after, limit)

    async def browse(
        self,
        *,
        everything: bool = False,
        public: bool = False,
        namespaces: Collection[str] = (),
        names: Collection[str] = (),
        after: str = "",
        limit: int = 100,
    ) -> list[RepositoryFacts]:
        """As `visible`, empty repositories included, with their facts; `everything`: all there are.

        A page costs as much as the content of its repositories: sizes are added up.
        """
        scope = None if everything else Scope(public, tuple(namespaces), tuple(names))
        return await self._store.catalog.read(listings.browse, scope, after, limit)

    async def facts(self, name: str) -> RepositoryFacts | None:
        """What is known of a repository; None if there is none of that name."""
        return await self._store.catalog.read(listings.facts, name)

    async def visibility(self, name: str) -> Visibility | None:
        """Who may pull from a repository; None if there is none of that name.  One indexed row."""
        return await self._store.catalog.pulls.visibility(name)

    async def resolve(self, name: str) -> str | None:
        """What the repository is called now that had this name before; None if there is none, or
        another has taken the name since."""
        return await self._store.catalog.read(repositories.resolve, name)

    async def create_repository(
        self, name: str, *, visibility: Visibility | None = None, actor: str = ""
    ) -> None:
        """Make an empty repository; None: as visible as its namespace says.

        Raises `NameInvalid`, `RepositoryExists`, `QuotaExceeded`.
        """
        self._store.check_writable()
        await self._store.catalog.write(
            repositories.create, parse_repository_name(name), visibility, actor=actor
        )

    async def set_visibility(self, name: str, visibility: Visibility, *, actor: str = "") -> None:
        """Raises `RepositoryUnknown`."""
        self._store.check_writable()
        await self._store.catalog.write(repositories.set_visibility, name, visibility, actor=actor)

    async def rename(self, old: str, new: str, *, actor: str = "") -> None:
        """Give a repository another name, in another namespace too.

        `resolve` finds it by its old name until another repository takes that.  Uploads under way
        end there.  Raises `RepositoryUnknown`, `RepositoryExists`, `NameInvalid`, `QuotaExceeded`.
        """
        self._store.check_writable()
        await self._store.catalog.write(
            repositories.rename, old, parse_repository_name(new), actor=actor
        )

    async def delete_repository(self, name: str, *, actor: str = "") -> None:
        """And all it holds.  Raises `RepositoryUnknown`."""
        store = self._store
        store.check_writable()
        terms = terms_of(store.driver, store.policy)
        abandoned = await store.catalog.write(
            removal.delete_repository, name, terms=terms, actor=actor
        )
        for handle in (upload.handle for upload in abandoned if upload.handle is not None):
            store.uploads.abandon(handle)

    async def namespace(self, name: str) -> Namespace:
        """Its settings, the defaults where nothing was set."""
        return await self._store.catalog.read(namespaces.find, name)

    async def set_default_visibility(
        self, namespace: str, visibility: Visibility, *, actor: str = ""
    ) -> None:
        """Say how repositories begin that are made in a namespace from now on."""
        self._store.check_writable()
        await self._store.catalog.write(
            namespaces.set_default_visibility, namespace, visibility, actor=actor
        )

    async def set_quota(
        self,
        namespace: str,
        *,
        max_bytes: int | None,
        max_repositories: int | None,
        actor: str = "",
    ) -> None:
        """Say what a namespace may hold; None: no limit.  What is there stays, even above it."""
        self._store.check_writable()
        await self._store.catalog.write(
            namespaces.set_quota,
            namespace,
            max_bytes=max_bytes,
            max_repositories=max_repositories,
            actor=actor,
        )

    async def reset_namespace(self, namespace: str, *, actor: str = "") -> None:
        """Forget visibility and quota that were set: somebody else may have the name next."""
        self._store.check_writable()
        await self._store.catalog.write(namespaces.reset, namespace, actor=actor)

    async def usage(self, namespace: str) -> Usage:
        """What a namespace holds now, counted."""
        return await self._store.catalog.read(namespaces.usage, namespace)

    async def events(self, after: int, limit: int = 1000) -> list[Change]:
        """Events above position `after`, in order.  The janitor gives positions, every second."""
        found = await self._store.catalog.read(events.after, after, limit)
        return [Change(*event) for event in found]

    async def last_event(self) -> int:
        """The newest position, 0 where there is none."""
        return await self._store.catalog.read(events.last)

    async def record(
        self,
        kind: str,
        repository: str | None,
        details: Mapping[str, Any],
        *,
        actor: str = "",
    ) -> None:
        """Put an event of the caller's own among the others.  `details` is what JSON can hold."""
        self._store.check_writable()
        await self._store.catalog.write(events.record, kind, repository, actor, details)

    async def number(self, name: str) -> int | None:
        """What stands for a repository where its name must not be told; None if there is none."""
        return await self._store.catalog.read(repositories.find, name)

    async def name(self, number: int) -> str | None:
        """What the repository of that number is called now; None if it is gone."""
        return await self._store.catalog.read(repositories.name_of, number)

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
